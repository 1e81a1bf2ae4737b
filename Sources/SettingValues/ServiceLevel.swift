// A service level objective: how long a stream's first token, and each further one, may take. Settings and
// `report --slo` write it the same way.

/// A service level objective for streams. Of the two parts one at least is there.
public struct ServiceLevel: Hashable, Sendable {
  /// From the complete request to the first token.
  public var ttft: Duration?
  /// From one token to the next, on average.
  public var tpot: Duration?

  /// Makes an objective; nil where it says nothing.
  public init?(ttft: Duration?, tpot: Duration?) {
    guard ttft != nil || tpot != nil else { return nil }
    self.ttft = ttft
    self.tpot = tpot
  }

  /// Reads `ttft=500ms,tpot=30ms`: one part or both, in any order.
  public init?(parsing text: String) {
    var parts: [String: Duration] = [:]
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2, let duration = Self.duration(String(sides[1])) else { return nil }
      let name = String(sides[0].drop { $0 == " " })
      guard name == "ttft" || name == "tpot", parts.updateValue(duration, forKey: name) == nil else { return nil }
    }
    self.init(ttft: parts["ttft"], tpot: parts["tpot"])
  }

  /// The text that `init(parsing:)` reads as this.
  public var text: String {
    [ttft.map { "ttft=\(Self.text($0))" }, tpot.map { "tpot=\(Self.text($0))" }].compactMap(\.self)
      .joined(separator: ",")
  }

  private static let units = [("ms", 1_000), ("us", 1), ("s", 1_000_000), ("m", 60_000_000)]

  /// Reads a duration from one microsecond to a week: `500ms`, `12.5ms`, `2s`, `800us`.
  public static func duration(_ text: String) -> Duration? {
    let text = text.drop { $0 == " " }
    guard let (suffix, factor) = units.first(where: { text.hasSuffix($0.0) }) else { return nil }
    let number = text.dropLast(suffix.count)
    guard let first = number.first, first.isASCII, first.isNumber,
      number.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let value = Double(number)
    else { return nil }
    let microseconds = (value * Double(factor)).rounded()
    guard (1...604_800_000_000).contains(microseconds) else { return nil }
    return .microseconds(Int64(microseconds))
  }

  /// The shortest text that `duration` reads as `duration`.
  public static func text(_ duration: Duration) -> String {
    let microseconds = duration.components.seconds * 1_000_000 + duration.components.attoseconds / 1_000_000_000_000
    if microseconds.isMultiple(of: 1_000_000) { return "\(microseconds / 1_000_000)s" }
    if microseconds.isMultiple(of: 1_000) { return "\(microseconds / 1_000)ms" }
    return "\(microseconds)us"
  }
}

/// The objective of the models whose names fit a pattern.
public struct ModelServiceLevel: Hashable, Sendable {
  /// A model's name, in which `*` stands for any text.
  public var pattern: String
  /// What its streams are held to.
  public var level: ServiceLevel

  /// Makes the objective of the models that `pattern` fits.
  public init(pattern: String, level: ServiceLevel) {
    self.pattern = pattern
    self.level = level
  }

  /// Reads `llama-*=500ms/30ms`: the pattern, the first token's time, each further one's.
  public init?(parsing text: String) {
    guard let sign = text.lastIndex(of: "="), sign > text.startIndex else { return nil }
    let times = text[text.index(after: sign)...].split(separator: "/", omittingEmptySubsequences: false)
    guard times.count == 2, let ttft = ServiceLevel.duration(String(times[0])),
      let tpot = ServiceLevel.duration(String(times[1])), let level = ServiceLevel(ttft: ttft, tpot: tpot)
    else { return nil }
    self.init(pattern: String(text[..<sign]), level: level)
  }

  /// The text that `init(parsing:)` reads as this.
  public var text: String {
    let times = [level.ttft, level.tpot].map { $0.map(ServiceLevel.text) ?? "" }
    return "\(pattern)=\(times[0])/\(times[1])"
  }

  /// Whether the pattern fits a model's name.
  public func fits(_ model: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard let first = parts.first, let last = parts.last, parts.count > 1 else { return pattern == model }
    guard model.hasPrefix(first), model.hasSuffix(last), model.utf8.count >= first.utf8.count + last.utf8.count else {
      return false
    }
    var rest = model.dropFirst(first.count).dropLast(last.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let range = rest.firstRange(of: part) else { return false }
      rest = rest[range.upperBound...]
    }
    return true
  }
}
