// Values written as JSON text.
// It must not know what they mean.

/// A JSON value to be written.
indirect enum JSONText {
  case object([(String, JSONText)])
  case array([JSONText])
  case string(String)
  case int(Int)
  case double(Double)
  case bool(Bool)
  case null

  /// `value`, or null.
  static func optional(_ value: Int?) -> JSONText { value.map { .int($0) } ?? .null }
  static func optional(_ value: Double?) -> JSONText { value.map { .double($0) } ?? .null }
  static func optional(_ value: String?) -> JSONText { value.map { .string($0) } ?? .null }

  /// The text: two spaces an indent, a member a line; arrays and objects of plain values on one line.
  func text(indent: String = "") -> String {
    switch self {
    case .object(let members):
      Self.lines(members.map { Self.quoted($0) + ": " + $1.text(indent: indent + "  ") }, "{", "}", indent, isFlat)
    case .array(let elements): Self.lines(elements.map { $0.text(indent: indent + "  ") }, "[", "]", indent, isFlat)
    case .string(let string): Self.quoted(string)
    case .int(let int): "\(int)"
    case .double(let double): double.isFinite ? "\(double)" : "null"
    case .bool(let bool): bool ? "true" : "false"
    case .null: "null"
    }
  }

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

  private static func lines(
    _ parts: [String], _ open: String, _ close: String, _ indent: String, _ isFlat: Bool
  ) -> String {
    if isFlat { return open + parts.joined(separator: ", ") + close }
    let inner = indent + "  "
    return "\(open)\n\(inner)\(parts.joined(separator: ",\n" + inner))\n\(indent)\(close)"
  }

  /// A string by RFC 8259; what a terminal would act upon is escaped beyond what JSON asks for.
  static func quoted(_ string: String) -> String {
    var text = "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\t": text += "\\t"
      default:
        if mustEscape(scalar) { text += escaped(scalar) } else { text.unicodeScalars.append(scalar) }
      }
    }
    return text + "\""
  }

  private static func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    String(scalar).utf16.map { unit in
      let digits = String(unit, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }.joined()
  }
}
