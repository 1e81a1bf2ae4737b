// Single fields as bytes of HTTP/1.
// It must not decide which fields are written.
import HTTP

extension Rewriting {
  /// Writes the field at `index`, or leaves it out.
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

  /// Writes a field of our own where none came.
  func writeNew(_ name: StaticString, to output: OutputBuffer) {
    guard place == nil, let element else { return }
    output.append(name)
    output.append(": ")
    output.append(text: element)
    output.append("\r\n")
  }
}

extension Fields {
  /// Writes what Connection and Upgrade say of a switch, each in its own first field's place.
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
