// A whole JSON value in memory, for texts that people read: written with indents by JSONWriter.

/// A JSON value to be written. For what is written rarely: it allocates for every value.
public indirect enum JSONDocument {
  case object([(String, JSONDocument)])
  case array([JSONDocument])
  case string(String)
  case int(Int)
  case double(Double)
  case bool(Bool)
  case null

  /// `value`, or null.
  public static func optional(_ value: Int?) -> JSONDocument { value.map { .int($0) } ?? .null }
  /// `value`, or null.
  public static func optional(_ value: Double?) -> JSONDocument { value.map { .double($0) } ?? .null }
  /// `value`, or null.
  public static func optional(_ value: String?) -> JSONDocument { value.map { .string($0) } ?? .null }

  /// The text, safe to be shown by a terminal: a member a line, indented by two spaces; arrays and objects without others in
  /// them on one line.
  public var text: String {
    var writer = JSONWriter()
    write(to: &writer, indent: 0)
    return writer.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }
  }

  private func write(to writer: inout JSONWriter, indent: Int) {
    let isFlat = isFlat
    func startElement(_ index: Int) {
      if index > 0 { writer.raw(",") }
      if isFlat { if index > 0 { writer.raw(" ") } } else { Self.startLine(&writer, indent: indent + 1) }
    }
    switch self {
    case .object(let members):
      writer.raw("{")
      for (index, (key, value)) in members.enumerated() {
        startElement(index)
        writer.terminalSafeString(key)
        writer.raw(": ")
        value.write(to: &writer, indent: indent + 1)
      }
      if !isFlat { Self.startLine(&writer, indent: indent) }
      writer.raw("}")
    case .array(let elements):
      writer.raw("[")
      for (index, value) in elements.enumerated() {
        startElement(index)
        value.write(to: &writer, indent: indent + 1)
      }
      if !isFlat { Self.startLine(&writer, indent: indent) }
      writer.raw("]")
    case .string(let string): writer.terminalSafeString(string)
    case .int(let int): writer.int(int)
    case .double(let double): writer.double(double)
    case .bool(let bool): writer.bool(bool)
    case .null: writer.raw("null")
    }
  }

  private static func startLine(_ writer: inout JSONWriter, indent: Int) {
    writer.raw("\n")
    for _ in 0..<indent { writer.raw("  ") }
  }

  /// Whether no other array or object is in this one.
  private var isFlat: Bool {
    switch self {
    case .object(let members): members.allSatisfy { $1.isPlain }
    case .array(let elements): elements.allSatisfy(\.isPlain)
    case .string, .int, .double, .bool, .null: true
    }
  }

  private var isPlain: Bool {
    switch self {
    case .object, .array: false
    case .string, .int, .double, .bool, .null: true
    }
  }
}
