// How each kind of value is read from what was written, and written back.
// It must not know which setting has which kind, nor where the text stood.

/// One value as it was written. A file says what kind it is; the environment and flags only have text.
struct Scalar: Hashable, Sendable {
  /// What YAML takes it for; `untyped` outside a file.
  enum Kind: Sendable { case untyped, text, integer, truth, other }

  let text: String
  let kind: Kind

  init(_ text: String, _ kind: Kind = .untyped) {
    self.text = text
    self.kind = kind
  }

  /// Whether it may stand for a value of this kind.
  func canBe(_ wanted: Kind) -> Bool { kind == .untyped || kind == wanted }
}

/// What was written for one setting, or what is to be written for it.
enum RawSetting: Hashable, Sendable {
  case one(Scalar)
  case many([Scalar])

  /// A list from outside a file: parts between commas, blanks around them left out.
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
  let read: @Sendable (RawSetting) throws(Refusal) -> Value
  let write: @Sendable (Value) -> RawSetting

  /// A codec of single values: a list is refused before `read` sees it.
  /// With `kind` `text`, what is written is put in quotes where a file would take it for something else.
  init(
    one expected: String, kind: Scalar.Kind = .untyped, read: @escaping @Sendable (Scalar) throws(Refusal) -> Value?,
    write: @escaping @Sendable (Value) -> String
  ) {
    self.expected = expected
    self.write = { .one(Scalar(write($0), kind)) }
    self.read = { (raw) throws(Refusal) -> Value in
      guard case .one(let scalar) = raw else {
        throw Refusal(
          what: "expected \(expected), found a list", remedy: "write one value; in quotes if it begins with [")
      }
      guard let value = try read(scalar) else {
        let isOnlyMistyped = try read(Scalar(scalar.text)) != nil
        let hint =
          !isOnlyMistyped
          ? "see config/tachograph.yaml" : scalar.kind == .text ? "leave out the quotes" : "put it in quotes"
        throw Refusal(what: "expected \(expected), found \(quoted(scalar.text))", remedy: hint)
      }
      return value
    }
  }

  init(
    many expected: String, read: @escaping @Sendable ([Scalar]) throws(Refusal) -> Value,
    write: @escaping @Sendable (Value) -> [String]
  ) {
    self.expected = expected
    self.write = { .many(write($0).map { Scalar($0) }) }
    self.read = { (raw) throws(Refusal) -> Value in
      if case .one(let scalar) = raw, scalar.kind != .untyped {
        throw Refusal(what: "expected \(expected), found one value", remedy: "write it as a list: [a, b]")
      }
      return try read(raw.parts)
    }
  }
}

extension Codec where Value == Bool {
  static var truth: Codec {
    Codec(one: "true or false") { scalar in
      guard scalar.canBe(.truth) else { return nil }
      return scalar.text == "true" ? true : scalar.text == "false" ? false : nil
    } write: {
      "\($0)"
    }
  }
}

extension Codec where Value == Int {
  static func count(_ range: ClosedRange<Int>) -> Codec {
    Codec(one: "a whole number from \(range.lowerBound) to \(range.upperBound)") { scalar in
      guard scalar.canBe(.integer), let number = Int(scalar.text), range.contains(number) else { return nil }
      return number
    } write: {
      "\($0)"
    }
  }

  static func size(_ range: ClosedRange<Int>) -> Codec {
    let bounds = "\(written(range.lowerBound, in: Unit.sizes)) to \(written(range.upperBound, in: Unit.sizes))"
    return Codec(one: "a size from \(bounds) (B, KiB, MiB, GiB)") { scalar in
      guard let bytes = Int(scalar.text) ?? quantity(scalar.text, in: Unit.sizes), range.contains(bytes) else {
        return nil
      }
      return bytes
    } write: {
      written($0, in: Unit.sizes)
    }
  }
}

extension Codec where Value == Duration {
  /// From one millisecond to a week.
  static var duration: Codec {
    Codec(one: "a duration such as 500ms, 10s, 2m or 1h") { scalar in
      guard let milliseconds = quantity(scalar.text, in: Unit.durations), (1...604_800_000).contains(milliseconds)
      else {
        return nil
      }
      return .milliseconds(milliseconds)
    } write: {
      written($0.wholeMilliseconds, in: Unit.durations)
    }
  }
}

extension Codec where Value == String {
  /// Free text in one line, not empty.
  static var text: Codec {
    Codec(one: "text", kind: .text) { scalar in
      let isOneLine = scalar.text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
      return scalar.canBe(.text) && isOneLine && !scalar.text.isEmpty ? scalar.text : nil
    } write: {
      $0
    }
  }

  /// A token of RFC 9110 §5.6.2.
  static var token: Codec {
    Codec(one: "a name without blanks, such as tachograph", kind: .text) { scalar in
      scalar.canBe(.text) && isToken(scalar.text) ? scalar.text : nil
    } write: {
      $0
    }
  }
}

extension Codec where Value == [String] {
  /// Header field names, kept in lower case.
  static var headers: Codec {
    Codec(many: "a list of header names") { (scalars) throws(Refusal) -> [String] in
      if let wrong = scalars.first(where: { !isToken($0.text) }) {
        throw Refusal(what: "\(quoted(wrong.text)) is no header name", remedy: "use letters, digits and dashes")
      }
      return scalars.map { $0.text.lowercased() }
    } write: {
      $0
    }
  }
}

extension Codec where Value == [AddressRange] {
  static var addressRanges: Codec {
    Codec(many: "a list of addresses or ranges, such as 10.0.0.0/8") { (scalars) throws(Refusal) -> [AddressRange] in
      var ranges: [AddressRange] = []
      for scalar in scalars { ranges.append(try AddressRange.parse(scalar.text)) }
      return ranges
    } write: {
      $0.map(\.description)
    }
  }
}

extension Codec where Value == Upstream {
  static var url: Codec {
    Codec(one: "a URL such as http://127.0.0.1:8000") { (scalar) throws(Refusal) -> Upstream? in
      try Upstream.parse(scalar.text)
    } write: {
      "http://\($0)"
    }
  }
}

extension Codec where Value == ListenAddress {
  static var address: Codec {
    Codec(one: "ADDR:PORT") { (scalar) throws(Refusal) -> ListenAddress? in
      try ListenAddress.parse(scalar.text)
    } write: {
      $0.description
    }
  }
}

extension Codec where Value == Settings.RecordsTarget {
  static var recordsTarget: Codec {
    Codec(one: "a file, or - for standard output", kind: .text) { scalar in
      guard scalar.canBe(.text), !scalar.text.isEmpty, !scalar.text.utf8.contains(0) else { return nil }
      return scalar.text == "-" ? .standardOutput : .file(scalar.text)
    } write: { target in
      switch target {
      case .file(let path): path
      case .standardOutput: "-"
      }
    }
  }
}

extension Codec {
  /// One of the words of an enumeration.
  static func word() -> Codec where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
    Codec(one: Value.allCases.map(\.rawValue).joined(separator: " or ")) { scalar in
      Value(rawValue: scalar.text)
    } write: {
      $0.rawValue
    }
  }

  /// The same values, or a word that stands for none: `auto`, `off`.
  func or(_ word: String) -> Codec<Value?> {
    Codec<Value?>(either: self, or: word)
  }
}

extension Codec {
  fileprivate init<Wrapped: Sendable>(either codec: Codec<Wrapped>, or word: String) where Value == Wrapped? {
    expected = "\(codec.expected), or \(word)"
    write = { value in value.map { codec.write($0) } ?? .one(Scalar(word)) }
    let expected = expected
    read = { (raw) throws(Refusal) -> Wrapped? in
      if case .one(let scalar) = raw, scalar.text == word { return nil }
      do throws(Refusal) {
        return try codec.read(raw)
      } catch {
        throw Refusal(what: error.what.replacing(codec.expected, with: expected), remedy: error.remedy)
      }
    }
  }
}

/// Whether every byte may stand in a token of RFC 9110 §5.6.2, and there is one.
func isToken(_ text: String) -> Bool {
  !text.isEmpty && text.utf8.allSatisfy(isToken)
}

func isToken(_ byte: UInt8) -> Bool {
  isAlphanumeric(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
}

private func trimmed(_ text: Substring) -> String {
  var text = text.drop { $0 == " " || $0 == "\t" }
  while text.last == " " || text.last == "\t" { text.removeLast() }
  return String(text)
}
