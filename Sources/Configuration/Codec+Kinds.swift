// The kinds of values that settings have: truth values, numbers, sizes, durations, text, names, addresses.
import SettingValues

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

extension Codec where Value == Duration {
  /// From one microsecond to a week, as objectives are written.
  static var objective: Codec {
    Codec(one: "a duration such as 500ms, 12.5ms or 2s") {
      ServiceLevel.duration($0.text)
    } write: {
      ServiceLevel.text($0)
    }
  }
}

extension Codec where Value == [ModelServiceLevel] {
  /// `MODEL=TTFT/TPOT`.
  static var modelObjectives: Codec {
    Codec(many: "a list of models and their times, such as llama-*=500ms/30ms") {
      (scalars) throws(InvalidValue) -> [ModelServiceLevel] in
      var levels: [ModelServiceLevel] = []
      for scalar in scalars {
        guard let level = ModelServiceLevel(parsing: scalar.text) else {
          throw InvalidValue(
            what: "\(quoted(scalar.text)) is not a model with its times", remedy: "write it like llama-*=500ms/30ms")
        }
        levels.append(level)
      }
      return levels
    } write: {
      $0.map(\.text)
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
    Codec(many: "a list of header names") { (scalars) throws(InvalidValue) -> [String] in
      if let wrong = scalars.first(where: { !isToken($0.text) }) {
        throw InvalidValue(what: "\(quoted(wrong.text)) is not a header name", remedy: "use letters, digits and dashes")
      }
      return scalars.map { $0.text.lowercased() }
    } write: {
      $0
    }
  }
}

extension Codec where Value == [String] {
  /// Names of protocols for an Upgrade field, kept in lower case.
  static var protocols: Codec {
    Codec(many: "a list of protocols, such as websocket") { (scalars) throws(InvalidValue) -> [String] in
      let names = scalars.map { $0.text.lowercased() }
      if let wrong = names.first(where: { !isToken($0) }) {
        throw InvalidValue(what: "\(quoted(wrong)) is not a protocol name", remedy: "write it like websocket")
      }
      // Requests in an HTTP tunnel would be neither checked nor recorded.
      if names.contains("h2c") {
        throw InvalidValue(what: "h2c cannot be tunnelled", remedy: "remove it: such requests are served as HTTP/1.1")
      }
      return names
    } write: {
      $0
    }
  }
}

extension Codec where Value == [DialectPath] {
  /// `ENDING=DIALECT`.
  static var dialectPaths: Codec {
    Codec(many: "a list of paths and dialects, such as /ask=openai.chat") {
      (scalars) throws(InvalidValue) -> [DialectPath] in
      var paths: [DialectPath] = []
      for scalar in scalars {
        let parts = scalar.text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts[0].hasPrefix("/") else {
          throw InvalidValue(what: "\(quoted(scalar.text)) names no path", remedy: "write it like /ask=openai.chat")
        }
        guard let dialect = DialectName(rawValue: parts[1]) else {
          let names = DialectName.allCases.map(\.rawValue).joined(separator: ", ")
          throw InvalidValue(what: "\(quoted(parts[1])) is not a dialect", remedy: "use one of \(names)")
        }
        paths.append(DialectPath(ending: parts[0], dialect: dialect))
      }
      return paths
    } write: {
      $0.map { "\($0.ending)=\($0.dialect.rawValue)" }
    }
  }
}

extension Codec where Value == [RequestPattern] {
  static var requestPatterns: Codec {
    Codec(many: "a list of paths, such as /health or OPTIONS *") { (scalars) throws(InvalidValue) -> [RequestPattern] in
      var patterns: [RequestPattern] = []
      for scalar in scalars {
        guard let pattern = RequestPattern(scalar.text) else {
          throw InvalidValue(
            what: "expected a path, found \(quoted(scalar.text))",
            remedy: "write it like /health, /probe/* or OPTIONS *")
        }
        patterns.append(pattern)
      }
      return patterns
    } write: {
      $0.map(\.description)
    }
  }
}

extension Codec where Value == [AddressRange] {
  static var addressRanges: Codec {
    Codec(many: "a list of addresses or ranges, such as 10.0.0.0/8") {
      (scalars) throws(InvalidValue) -> [AddressRange] in
      var ranges: [AddressRange] = []
      for scalar in scalars { ranges.append(try AddressRange.parse(scalar.text)) }
      return ranges
    } write: {
      $0.map(\.description)
    }
  }
}

extension Codec where Value == UpstreamAddress {
  static var url: Codec {
    Codec(one: "a URL such as http://127.0.0.1:8000") { (scalar) throws(InvalidValue) -> UpstreamAddress? in
      try UpstreamAddress.parse(scalar.text)
    } write: {
      "http://\($0)"
    }
  }
}

extension Codec where Value == ListenAddress {
  static var address: Codec {
    Codec(one: "ADDR:PORT") { (scalar) throws(InvalidValue) -> ListenAddress? in
      try ListenAddress.parse(scalar.text)
    } write: {
      $0.description
    }
  }
}

extension Codec where Value == ListenAddress {
  /// `ADDR:PORT`, or a port alone (`4142`, `:4142`), which is on 127.0.0.1.
  static var localAddress: Codec {
    Codec(one: "ADDR:PORT or PORT") { (scalar) throws(InvalidValue) -> ListenAddress? in
      let port = scalar.text.hasPrefix(":") ? scalar.text.dropFirst() : scalar.text[...]
      let isPort = !port.isEmpty && port.utf8.allSatisfy { (0x30...0x39).contains($0) }
      return try ListenAddress.parse(isPort ? "127.0.0.1:\(port)" : scalar.text)
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
}

/// Whether every byte may stand in a token of RFC 9110 §5.6.2, and there is one.
func isToken(_ text: String) -> Bool {
  !text.isEmpty && text.utf8.allSatisfy(isToken)
}

/// Whether a byte may stand in a token of RFC 9110 §5.6.2.
func isToken(_ byte: UInt8) -> Bool {
  isAlphanumeric(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
}
