// A report as one JSON object, every number as it was counted. README.md of this folder documents it key by key.
// It must not round, nor leave a key out: what is not known is null.
import JSON
import Measurement

extension ReportSummary {
  /// The JSON report, ending in a newline.
  /// - Parameter time: wall nanoseconds since 1970 as RFC 3339.
  public func json(time: (Int64) -> String) -> String {
    let object = JSONDocument.object([
      ("tachograph_report", .int(1)),
      ("by", .string(grouping.rawValue)),
      ("since", .optional(window.since.map(time))),
      ("until", .optional(window.until.map(time))),
      ("where", .array(conditions.map { .string($0) })),
      ("slo", options.objective?.json ?? .null),
      ("tasks_included", .bool(options.includesTasks)),
      ("first_start", .optional((span?.lowerBound).map(time))),
      ("last_end", .optional((span?.upperBound).map(time))),
      ("span_s", .optional(spanSeconds)),
      ("log", reading.json),
      ("all", all.json),
      ("groups", .array(groups.map(\.json))),
      ("other", other?.json ?? .null),
      ("in_flight", .array(inFlight.map(\.json))),
      ("ttft_by_input", options.showsTTFTByInput ? .array(inputs.map(\.json)) : .null),
      ("ttft_by_input_left_out", options.showsTTFTByInput ? .int(inputsLeftOut) : .null),
    ])
    return object.text + "\n"
  }
}

extension ReadingTally {
  fileprivate var json: JSONDocument {
    .object([
      ("records", .int(records)),
      ("unreadable_lines", .int(unreadableLines)),
      ("other_version_lines", .int(otherVersionLines)),
      ("dropped_records", .int(droppedRecords)),
    ])
  }
}

extension ReportGroup {
  fileprivate var json: JSONDocument {
    .object(
      nameMembers + [
        ("requests", .int(requests)),
        ("requests_per_s", .optional(requestsPerSecond)),
        ("outcomes", .object(Outcome.allCases.map { ($0.rawValue, .int(count(of: $0))) })),
        ("input_tokens", .optional(inputTokens)),
        ("input_tokens_known_for", .int(withInputTokens)),
        ("output_tokens", .optional(outputTokens)),
        ("output_tokens_known_for", .int(withOutputTokens)),
        ("output_tokens_lower_bound_for", .int(lowerBounds)),
        ("output_tokens_per_s", .optional(outputTokensPerSecond)),
        ("client_stalled", .int(stalled)),
        ("with_timeline", .int(withTimeline)),
        ("gap_p50_thin_for", .int(thinGapP50)),
        ("gap_p99_thin_for", .int(thinGapP99)),
        ("tasks", .int(tasks)),
        ("cut_off", .int(cutOff)),
        ("gave_up", .int(gaveUp)),
        ("gave_up_before_first_token", .int(gaveUpWaiting)),
        ("waited_s", .double(waitedSeconds)),
        ("undelivered_tokens", .optional(undeliveredTokens)),
        ("undelivered_tokens_known_for", .int(withUndeliveredTokens)),
        ("goodput", goodput?.json ?? .null),
        ("on_time", onTime?.json ?? .null),
        ("turns", .int(turns)),
        ("overlapping_turns", .int(overlappingTurns)),
      ] + ReportMetric.allCases.map { ($0.key, $0 == .censoredWait ? waits : self[$0]?.json ?? .null) })
  }

  private var nameMembers: [(String, JSONDocument)] {
    switch name {
    case .all: []
    case .key(let key): [("key", .optional(key))]
    case .other(let keys, let hasUncountedKeys):
      [("keys", .int(keys)), ("more_keys_uncounted", .bool(hasUncountedKeys))]
    }
  }

  private func count(of outcome: Outcome) -> Int { outcomes.first { $0.outcome == outcome }?.count ?? 0 }

  private var waits: JSONDocument {
    guard let percentiles = self[.censoredWait] else { return .null }
    return .object([
      ("count", .int(percentiles.count)), ("p50", .double(percentiles.p50)), ("max", .double(percentiles.max)),
      ("thin", percentiles.thinNames(of: [50])),
    ])
  }
}

extension Percentiles {
  fileprivate var json: JSONDocument {
    .object([
      ("count", .int(count)), ("p50", .double(p50)), ("p90", .double(p90)), ("p99", .double(p99)),
      ("max", .double(max)), ("thin", thinNames(of: [50, 90, 99])),
    ])
  }

  fileprivate func thinNames(of percentiles: [Int]) -> JSONDocument {
    .array(percentiles.filter(thin.contains).map { .string("p\($0)") })
  }
}

extension Objective {
  fileprivate var json: JSONDocument {
    .object([
      ("text", .string(text)), ("ttft_ms", .optional(ttft.map { Double($0) / 1000 })),
      ("tpot_ms", .optional(tpot.map { Double($0) / 1000 })),
    ])
  }
}

extension Attainment {
  fileprivate var json: JSONDocument {
    .object([
      ("share", .optional(share)), ("met", .int(met)), ("judged", .int(judged)), ("not_judged", .int(unknown)),
    ])
  }
}

extension InputReport {
  fileprivate var json: JSONDocument {
    .object([
      ("model", .optional(model)), ("exchanges", .int(exchanges)), ("fit", fit?.json ?? .null),
      ("buckets", .array(rows.map(\.json))),
    ])
  }
}

extension InputReport.Fit {
  fileprivate var json: JSONDocument {
    .object([
      ("a_ms", .double(fixed)), ("b_ms_per_token", .double(perToken)), ("n", .int(count)),
      ("r_squared", .double(rSquared)), ("cached_tokens_known", .bool(isUncached)),
    ])
  }
}

extension InputReport.Row {
  fileprivate var json: JSONDocument {
    .object([
      ("from", .int(inputTokens.lowerBound)), ("to", .int(inputTokens.upperBound)),
      ("cold_ttft_ms", self[.cold]?.json ?? .null), ("warm_ttft_ms", self[.warm]?.json ?? .null),
      ("unknown_ttft_ms", self[.unknown]?.json ?? .null),
    ])
  }
}

extension InFlightRow {
  fileprivate var json: JSONDocument {
    .object([
      ("from", .int(inFlight.lowerBound)),
      ("to", .int(inFlight.upperBound)),
      ("ok_exchanges", .int(exchanges)),
      ("ttft_ms", ttft?.json ?? .null),
      ("tpot_ms", tpot?.json ?? .null),
      ("tps", tokensPerSecond?.json ?? .null),
      ("estimated_tokens_per_s_together", .optional(estimatedTokensPerSecond)),
    ])
  }
}
