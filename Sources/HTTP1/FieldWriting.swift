// Fields that a proxy rewrites, as HTTP/1 bytes.
import HTTP

extension Rewriting {
  /// Writes the field at `index`, if it is forwarded.
  func write(_ fields: Fields, _ index: Int, to output: OutputBuffer) {
    let field = fields.list[index]
    guard index == place, let element else {
      if keepsOthers { output.appendField(fields, field.name, field.value) }
      return
    }
    output.append(fields.bytes, field.name)
    output.append(": ")
    if keepsOthers, !field.value.isEmpty {
      output.append(fields.bytes, field.value)
      output.append(", ")
    }
    output.append(text: element)
    output.append("\r\n")
  }

  /// Writes a new field where none was received.
  func writeNew(_ name: StaticString, to output: OutputBuffer) {
    guard place == nil, let element else { return }
    output.append(name)
    output.append(": ")
    output.append(text: element)
    output.append("\r\n")
  }
}

extension Fields {
  /// Writes the Connection and Upgrade fields of a switch, each in the place of the first field of its name.
  func writeUpgrade(_ elements: [Range<Int>], at index: Int, to output: OutputBuffer) {
    let field = list[index]
    guard !elements.isEmpty, field.kind == .connection || field.kind == .upgrade,
      list.firstIndex(where: { $0.kind == field.kind }) == index
    else { return }
    if field.kind == .connection { return output.appendField(self, field.name, "Upgrade") }
    output.append(bytes, field.name)
    output.append(": ")
    for (place, element) in elements.enumerated() {
      if place > 0 { output.append(", ") }
      output.append(bytes, element)
    }
    output.append("\r\n")
  }
}
