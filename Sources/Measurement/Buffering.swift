// Whether something on the way clumps a stream (Documentation.docc/Metrics.md, "Buffering").

/// What is known of a stream's arrival when it has ended.
struct ArrivalPattern {
  /// Token-bearing events.
  var events: Int
  /// From the request to the first of them, ms; nil where that is not known.
  var ttft: Double?
  /// From the first of them to the last, ms.
  var span: Double
  /// The gaps between them, ms.
  var gaps: Quantiles
  /// How long the server decoded, by its own word, ms.
  var decode: Double?
  /// Whether the events brought most of the tokens that the server counted.
  var showsMostTokens: Bool

  private static let leastEvents = 16
  /// No model decodes faster than this for one choice, ms an event.
  private static let instantly = 0.2

  /// Whether the arrival contradicts how tokens are made; nil where there is too little to tell.
  var isBuffered: Bool? {
    if contradictsServer { return true }
    guard events >= Self.leastEvents else { return nil }
    return comesInClumps || comesAtOnce
  }

  private var comesInClumps: Bool {
    gaps.p90 < Self.instantly && span / Double(events - 1) >= 10 * Self.instantly
  }

  private var comesAtOnce: Bool {
    guard let ttft, ttft >= 200 else { return false }
    return span <= Self.instantly * Double(events - 1)
  }

  private var contradictsServer: Bool {
    guard let decode, decode >= 100, events >= 8, showsMostTokens else { return false }
    return span < decode / 5 || gaps.p50 < decode / Double(events) / 10
  }
}
