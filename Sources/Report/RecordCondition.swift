// Conditions on the keys of a record, as `--where` takes them.
import JSON
import RecordLog

/// One condition on one key of a record: `outcome=ok`, `path=/v1/*`, `status!=200`, `user=null`.
public struct RecordCondition: Sendable {
  /// Why a text is no condition: one sentence for the operator.
  public struct Invalid: Error, Hashable, CustomStringConvertible {
    /// For the operator.
    public let description: String
  }

  private enum Value: Hashable {
    case null
    /// Exactly this string.
    case string(String)
    /// A string that begins so.
    case prefix(String)
    /// A string, or a number or Boolean that is written so.
    case word(String, number: Double?)
  }

  /// The condition as it was written.
  public let text: String
  private let key: RecordKey
  private let isNegated: Bool
  private let value: Value

  /// Reads `KEY=VALUE` or `KEY!=VALUE`. The value is the string, number or Boolean of the record; `null`; a string with a `*` at
  /// its end, which stands for anything; or a string in double quotes, which is nothing else.
  /// - Throws: where it is neither, or no record has such a key, or the key's values are objects.
  public init(_ text: String) throws(Invalid) {
    self.text = text
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw Invalid(description: "\"\(text)\" is not KEY=VALUE or KEY!=VALUE")
    }
    let name = text[..<equals]
    isNegated = name.hasSuffix("!")
    let wanted = isNegated ? name.dropLast() : name
    guard let key = RecordKey.scalars.first(where: { "\($0.name)" == wanted }) else {
      throw Invalid(
        description: "\"\(wanted)\" is no key of a record with a string, number or Boolean; there are "
          + RecordKey.scalars.map { "\($0.name)" }.joined(separator: ", "))
    }
    self.key = key
    value = Self.value(String(text[text.index(after: equals)...]))
  }

  private static func value(_ text: String) -> Value {
    if text == "null" { return .null }
    if text.utf8.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") {
      return .string(String(text.dropFirst().dropLast()))
    }
    if text.hasSuffix("*") { return .prefix(String(text.dropLast())) }
    return .word(text, number: Double(text))
  }

  /// Whether a record with these members meets the condition. A key that the record does not have is null.
  func holds(for members: inout JSONMembers) -> Bool { matches(members.present(key)) != isNegated }

  private func matches(_ member: JSONValue?) -> Bool {
    guard let member else { return value == .null }
    switch value {
    case .null: return false
    case .string(let string): return member.equals(string: string)
    case .prefix(let prefix): return member.hasPrefix(prefix)
    case .word(let word, let number):
      if member.isString { return member.equals(string: word) }
      if let bool = member.bool { return word == (bool ? "true" : "false") }
      return number != nil && member.double == number
    }
  }
}

extension JSONValue {
  fileprivate func hasPrefix(_ prefix: String) -> Bool {
    unsafe withUTF8 { utf8 in unsafe utf8.starts(with: prefix.utf8) } ?? false
  }
}
