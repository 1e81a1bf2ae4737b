// The comparison of wire and server as text and as JSON.
import JSON

extension ServerComparison {
  /// The comparison as lines for a person.
  /// - Parameter columns: of the terminal; nil without one.
  public func lines(columns: Int?) -> [String] {
    let groups = ordered
    guard !groups.isEmpty else {
      return [
        "No server stated its own times in the \(NumberText.whole(silent)) ok exchanges read: see Record.md, server."
      ]
    }
    var lines = ["WIRE AND SERVER (ok exchanges whose server states its times; ms)"]
    for (title, time) in Self.times {
      var table = TextTable(
        [
          TextTable.Column(title: title, alignRight: false), TextTable.Column(title: "UPSTREAM", alignRight: false),
        ]
          + ["N", "WIRE P50", "SERVER P50", "BETWEEN P50", "P90", "P99", "MAX"].map { TextTable.Column(title: $0) })
      for group in groups {
        let compared = group[keyPath: time]
        guard compared.wire.count > 0 else { continue }
        table.add(
          [TerminalText.safe(group.model ?? "null"), TerminalText.safe(group.upstream ?? "null")]
            + [NumberText.whole(compared.wire.count)]
            + [
              Self.text(compared.wire, 50), Self.text(compared.server, 50), Self.text(compared.between, 50),
              Self.text(compared.between, 90), Self.text(compared.between, 99), Self.text(compared.between, 100),
            ])
      }
      if groups.contains(where: { $0[keyPath: time].wire.count > 0 }) { lines += [""] + table.lines(within: columns) }
    }
    let isThin = lines.contains { $0.contains(NumberText.thinMark) }
    return lines + [""] + (isThin ? [ReportText.thinFootnote] : []) + Self.explanations + remarks(groups)
  }

  private static var times: [(String, KeyPath<ServerComparisonGroup, ComparedTime>)] {
    [("TO THE FIRST TOKEN", \.first), ("FIRST TO LAST TOKEN", \.decode), ("WHOLE EXCHANGE", \.total)]
  }

  private static let explanations = [
    "BETWEEN: wire - server, of each exchange: connecting, queueing and network that the server's own metrics hide",
    "TO THE FIRST TOKEN: server = its own TTFT, else queue + load + prefill; FIRST TO LAST TOKEN: server = its decoding",
  ]

  private func remarks(_ groups: [ServerComparisonGroup]) -> [String] {
    var lines: [String] = []
    for group in groups {
      let name = "\(TerminalText.safe(group.model ?? "null")) at \(TerminalText.safe(group.upstream ?? "null"))"
      if let wait = Self.value(group.queue, 99) {
        lines.append(
          "note: \(name): the server's own queue took \(NumberText.short(wait)) ms at p99"
            + (Percentiles.isThin(99, of: group.queue.count) ? " (\(NumberText.thinMark) thin)" : ""))
      }
      if let part = group.acceptance {
        lines.append(
          "note: \(name): speculative decoding accepted \(NumberText.fixed(part * 100, decimals: 1)) % of its drafts")
      }
      if group.buffered > 0 {
        lines.append(
          "note: \(name): \(NumberText.whole(group.buffered)) of \(NumberText.whole(group.exchanges)) streams are buffered on the way"
        )
      }
    }
    if silent > 0 { lines.append("note: ok exchanges whose server states no time: \(NumberText.whole(silent))") }
    if folded > 0 { lines.append("note: exchanges of further models and upstreams: \(NumberText.whole(folded))") }
    return lines
  }

  /// Milliseconds, marked where they are thin.
  private static func text(_ distribution: Distribution, _ percentile: Int) -> String {
    guard let value = value(distribution, Double(percentile)) else { return NumberText.unknown }
    let isThin = percentile < 100 && Percentiles.isThin(percentile, of: distribution.count)
    return NumberText.short(value) + (isThin ? NumberText.thinMark : "")
  }

  /// Milliseconds.
  fileprivate static func value(_ distribution: Distribution, _ percentile: Double) -> Double? {
    distribution.value(atPercentile: percentile).map { Double($0) / 1000 }
  }

  /// The comparison as one JSON object, ending in a newline.
  public var json: String {
    let object = JSONDocument.object([
      ("tachograph_report", .int(1)),
      ("without_server_times", .int(silent)),
      ("not_kept", .int(folded)),
      ("servers", .array(ordered.map(\.json))),
    ])
    return object.text + "\n"
  }
}

extension ServerComparisonGroup {
  fileprivate var json: JSONDocument {
    .object([
      ("model", .optional(model)), ("upstream", .optional(upstream)), ("exchanges", .int(exchanges)),
      ("buffered", .int(buffered)), ("to_first_token_ms", first.json), ("first_to_last_token_ms", decode.json),
      ("whole_exchange_ms", total.json), ("server_queue_ms", Self.percentiles(queue)),
      ("draft_tokens", draftTokens > 0 ? .int(draftTokens) : .null),
      ("accepted_tokens", draftTokens > 0 ? .int(acceptedTokens) : .null),
    ])
  }

  fileprivate static func percentiles(_ distribution: Distribution) -> JSONDocument {
    guard distribution.count > 0 else { return .null }
    let percentiles = [("p50", 50.0), ("p90", 90), ("p99", 99), ("max", 100)]
    return .object(
      [("count", .int(distribution.count))]
        + percentiles.map { ($0.0, .optional(ServerComparison.value(distribution, $0.1))) }
        + [
          (
            "thin",
            .array([50, 90, 99].filter { Percentiles.isThin($0, of: distribution.count) }.map { .string("p\($0)") })
          )
        ])
  }
}

extension ComparedTime {
  fileprivate var json: JSONDocument {
    guard wire.count > 0 else { return .null }
    return .object([
      ("wire", ServerComparisonGroup.percentiles(wire)), ("server", ServerComparisonGroup.percentiles(server)),
      ("between", ServerComparisonGroup.percentiles(between)),
    ])
  }
}
