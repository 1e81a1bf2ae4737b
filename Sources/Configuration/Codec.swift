// How each kind of value is read from text and written back.

/// One value as it was written. A file tells its kind; the environment and flags have text only.
struct Scalar: Hashable, Sendable {
  /// The kind that YAML finds; `untyped` outside a file.
  enum Kind: Sendable { case untyped, text, integer, truth, other }

  let text: String
  let kind: Kind

  init(_ text: String, _ kind: Kind = .untyped) {
    self.text = text
    self.kind = kind
  }

  /// Whether it can be read as a value of this kind.
  func canBe(_ wanted: Kind) -> Bool { kind == .untyped || kind == wanted }
}

/// The text of one setting.
enum RawSetting: Hashable, Sendable {
  case one(Scalar)
  case many([Scalar])

  /// The elements of a list. Outside a file they are the parts between commas, without blanks around them.
  var parts: [Scalar] {
    switch self {
    case .many(let scalars): scalars
    case .one(let scalar):
      scalar.text.split(separator: ",").map { Scalar(trimmed($0)) }.filter { !$0.text.isEmpty }
    }
  }
}

/// Reads and writes one kind of value.
struct Codec<Value: Sendable>: Sendable {
  /// What a valid value looks like, for messages and the reference: "a size such as 64KiB".
  let expected: String
  let read: @Sendable (RawSetting) throws(InvalidValue) -> Value
  let write: @Sendable (Value) -> RawSetting

  /// A codec of single values. It refuses a list.
  /// - Parameter kind: with `text`, a value is written in quotes where YAML would find another kind.
  init(
    one expected: String, kind: Scalar.Kind = .untyped,
    read: @escaping @Sendable (Scalar) throws(InvalidValue) -> Value?,
    write: @escaping @Sendable (Value) -> String
  ) {
    self.expected = expected
    self.write = { .one(Scalar(write($0), kind)) }
    self.read = { (raw) throws(InvalidValue) -> Value in
      guard case .one(let scalar) = raw else {
        throw InvalidValue(
          what: "expected \(expected), found a list", remedy: "write one value, in quotes if it begins with [")
      }
      guard let value = try read(scalar) else {
        let isOnlyMistyped = try read(Scalar(scalar.text)) != nil
        let hint =
          !isOnlyMistyped
          ? "see `tachograph config`" : scalar.kind == .text ? "remove the quotes" : "put it in quotes"
        throw InvalidValue(what: "expected \(expected), found \(quoted(scalar.text))", remedy: hint)
      }
      return value
    }
  }

  init(
    many expected: String, read: @escaping @Sendable ([Scalar]) throws(InvalidValue) -> Value,
    write: @escaping @Sendable (Value) -> [String]
  ) {
    self.expected = expected
    self.write = { .many(write($0).map { Scalar($0) }) }
    self.read = { (raw) throws(InvalidValue) -> Value in
      if case .one(let scalar) = raw, scalar.kind != .untyped {
        throw InvalidValue(what: "expected \(expected), found one value", remedy: "write it as a list: [a, b]")
      }
      return try read(raw.parts)
    }
  }
}

extension Codec {
  /// The same values, or a word that stands for nil: `auto`, `off`.
  func or(_ word: String) -> Codec<Value?> {
    Codec<Value?>(either: self, or: word)
  }
}

extension Codec {
  fileprivate init<Wrapped: Sendable>(either codec: Codec<Wrapped>, or word: String) where Value == Wrapped? {
    expected = "\(codec.expected), or \(word)"
    write = { value in value.map { codec.write($0) } ?? .one(Scalar(word)) }
    let expected = expected
    read = { (raw) throws(InvalidValue) -> Wrapped? in
      if case .one(let scalar) = raw, scalar.text == word { return nil }
      do throws(InvalidValue) {
        return try codec.read(raw)
      } catch {
        throw InvalidValue(what: error.what.replacing(codec.expected, with: expected), remedy: error.remedy)
      }
    }
  }
}

private func trimmed(_ text: Substring) -> String {
  var text = text.drop { $0 == " " || $0 == "\t" }
  while text.last == " " || text.last == "\t" { text.removeLast() }
  return String(text)
}
