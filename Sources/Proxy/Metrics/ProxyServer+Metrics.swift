// The proxy as an operator's monitoring sees it: what all workers have counted, added up, family by family.
// It must not touch a worker: everything here is read while they write it.
import Measurement
import Metrics
import RecordLog
import TokenWire

extension ProxyServer {
  /// Adds every family of the proxy's own; from any thread.
  public func collect(into page: inout Exposition) {
    collectExchanges(&page)
    collectConnections(&page)
    collectTraffic(&page)
    collectLog(&page)
    collectDelays(&page)
    collectOperations(&page)
    collectUnread(&page)
    collectUsers(&page)
  }

  private func sum(_ counter: (Counters) -> UInt64) -> UInt64 { state.counters.reduce(0) { $0 &+ counter($1) } }

  private func sum(_ gauge: (Counters) -> Int) -> Int { state.counters.reduce(0) { $0 + gauge($1) } }

  private func sumUpstream(_ counter: (UpstreamCounters) -> UInt64) -> UInt64 {
    state.upstreams.reduce(0) { $1.counters.reduce($0) { $0 &+ counter($1) } }
  }

  private func sumUpstream(_ gauge: (UpstreamCounters) -> Int) -> Int {
    state.upstreams.reduce(0) { $1.counters.reduce($0) { $0 + gauge($1) } }
  }

  private func bySide(
    _ page: inout Exposition, _ downstream: (Counters) -> UInt64, upstream: (UpstreamCounters) -> UInt64
  ) {
    page.sample(sum(downstream), ["side": Side.downstream.rawValue])
    page.sample(sumUpstream(upstream), ["side": Side.upstream.rawValue])
  }

  private func bySide(_ page: inout Exposition, _ count: (Counters, Side) -> UInt64) {
    for side in Side.allCases { page.sample(sum { count($0, side) }, ["side": side.rawValue]) }
  }

  // MARK: Families

  private func collectExchanges(_ page: inout Exposition) {
    page.family(
      "tachograph_exchanges_total", .counter,
      "Exchanges that have ended, by their records' outcome and by how far they had come, where that was not all the way."
    )
    for outcome in Outcome.allCases {
      for stage in [nil] + Stage.allCases.map({ $0 }) {
        let count = sum { $0.exchanges.count(outcome, stage) }
        // What can be expected is there from the start, so that an increase can be seen of the first one.
        guard count > 0 || (stage == nil) == outcome.endsWithoutStage else { continue }
        page.sample(count, ["outcome": outcome.rawValue, "stage": stage?.rawValue])
      }
    }
    page.family(
      "tachograph_exchange_errors_total", .counter,
      "Exchanges that have ended, by the kind of their records' error, where it is not null, and the side that it concerns."
    )
    for kind in ExchangeFailure.Kind.allCases {
      page.sample(sum { $0.failures.count(kind) }, ["kind": kind.rawValue, "side": kind.side.rawValue])
    }
    page.family(
      "tachograph_responses_total", .counter, "Exchanges that have ended, by the status that the client was sent.")
    for code in StatusCounters.codes {
      let count = sum { $0.responses.count(code) }
      if count > 0 { page.sample(count, ["code": "\(code)"]) }
    }
    page.family(
      "tachograph_exchanges_in_flight", .gauge, "Exchanges that have a connection to upstream and have not ended.")
    page.sample(state.exchangesInFlight)
    page.family(
      "tachograph_exchanges_queued", .gauge, "Exchanges that wait for a place at upstream, where those are bounded.")
    page.sample(state.upstreams.reduce(0) { $0 + $1.limiter.occupancy.waiting })
    page.family("tachograph_exchanges_open", .gauge, "Exchanges that have begun and not ended, queued ones included.")
    page.sample(sum { Int(clamping: $0.exchangesBegun.count) - Int(clamping: $0.exchangesEnded.count) })
    page.family(
      "tachograph_retries_total", .counter, "Requests sent once more, their kept connection having been closed.")
    page.sample(sumUpstream { $0.retries.count })
    page.family("tachograph_limits_hit_total", .counter, "How often traffic ran into a limit, by the limit.")
    for limit in Limit.allCases { page.sample(sum { $0.limits.count(limit) }, ["limit": limit.rawValue]) }
    page.family(
      "tachograph_parse_failures_total", .counter,
      "Messages refused because they are not strict HTTP, by the side they came from; oversized ones are limits hit.")
    bySide(&page) { $0.parseFailures.count($1) }
    page.family("tachograph_tunnels_total", .counter, "Tunnels opened after an upgrade.")
    page.sample(sum { $0.tunnelsOpened.count })
    page.family("tachograph_tunnels_open", .gauge, "Tunnels that have not ended.")
    page.sample(sum { Int(clamping: $0.tunnelsOpened.count) - Int(clamping: $0.tunnelsClosed.count) })
  }

  private func collectConnections(_ page: inout Exposition) {
    page.family(
      "tachograph_connections_total", .counter,
      "Connections made: accepted from clients (downstream), opened to the server (upstream).")
    bySide(&page, { $0.connectionsOpened.count }, upstream: { $0.opened.count })
    page.family("tachograph_connections_open", .gauge, "Connections that stand, idle ones included.")
    page.sample(
      sum { Int(clamping: $0.connectionsOpened.count) - Int(clamping: $0.connectionsClosed.count) },
      ["side": Side.downstream.rawValue])
    page.sample(
      sumUpstream { Int(clamping: $0.opened.count) - Int(clamping: $0.closed.count) },
      ["side": Side.upstream.rawValue])
    page.family(
      "tachograph_connections_failed_total", .counter,
      "Clients that could not be accepted, and attempts to connect to one of the server's addresses that failed.")
    bySide(&page, { $0.connectionsFailed.count }, upstream: { $0.failed.count })
    let configuration = state.configuration
    if let descriptors = configuration.settings.limits.descriptors {
      page.family(
        "tachograph_descriptor_budget", .gauge, "File descriptors that clients' and the server's connections share.")
      page.sample(descriptors)
      page.family("tachograph_clients_limit", .gauge, "Clients served at once, at most: what that budget leaves them.")
      page.sample(configuration.budget.clients)
    }
    page.family("tachograph_upstream_idle_connections", .gauge, "Connections to the server kept for the next request.")
    page.sample(sumUpstream { $0.idle.level })
    page.family("tachograph_upstream_reuses_total", .counter, "Exchanges that were given a kept connection.")
    page.sample(sumUpstream { $0.reuses.count })
    page.family(
      "tachograph_upstream_stale_connections_total", .counter,
      "Kept connections that the server had closed when they were wanted.")
    page.sample(sumUpstream { $0.stale.count })
  }

  private func collectTraffic(_ page: inout Exposition) {
    page.family("tachograph_received_bytes_total", .counter, "Bytes read, by the side they came from.")
    bySide(&page, { $0.downstreamReadBytes.count }, upstream: { $0.readBytes.count })
    page.family(
      "tachograph_sent_bytes_total", .counter,
      "Bytes written, by the side they went to; those that still wait included.")
    bySide(&page, { $0.downstreamWrittenBytes.count }, upstream: { $0.writtenBytes.count })
    page.family("tachograph_reads_total", .counter, "Reads from sockets, by the side they came from.")
    bySide(&page, { $0.downstreamReads.count }, upstream: { $0.reads.count })
    page.family(
      "tachograph_pauses_total", .counter,
      "How often reading from a side was paused because the other side took no more.")
    bySide(&page, { $0.uploadPauses.count }, upstream: { $0.pauses.count })
  }

  private func collectLog(_ page: inout Exposition) {
    let log = state.writer.statistics
    page.family("tachograph_records_written_total", .counter, "Records whose lines are in the log.")
    page.sample(log.written)
    page.family("tachograph_records_dropped_total", .counter, "Records that will never be in the log.")
    page.sample(log.dropped)
    page.family(
      "tachograph_records_skipped_total", .counter, "Exchanges without a record, because records.skip names their path."
    )
    page.sample(sum { $0.recordsSkipped.count })
    page.family("tachograph_records_waiting", .gauge, "Records that wait for the log's thread, or are with it.")
    page.sample(log.waiting)
    page.family("tachograph_records_waiting_limit", .gauge, "Records that may wait; further ones are dropped.")
    page.sample(log.waitingLimit)
    page.family(
      "tachograph_log_errors_total", .counter, "Failed attempts to open the log, to write to it, or to open it anew.")
    page.sample(log.openErrors, ["operation": "open"])
    page.sample(log.writeErrors, ["operation": "write"])
    page.sample(log.reopenErrors, ["operation": "reopen"])
  }

  private func collectDelays(_ page: inout Exposition) {
    page.family(
      "tachograph_delivery_delay_seconds", .histogram,
      "What this proxy added to each read, up to its client's socket having it; counted at most 50 ms after that.")
    for (worker, counters) in state.counters.enumerated() {
      page.histogram(counters.delivery.delay.counts, ["worker": "\(worker)"])
    }
    page.family(
      "tachograph_loop_lag_seconds", .histogram,
      "How late the loop came to each read from the server, by the kernel's stamp; counted at most 50 ms after that.")
    for (worker, counters) in state.counters.enumerated() {
      page.histogram(counters.delivery.lag.counts, ["worker": "\(worker)"])
    }
  }

  // MARK: By model

  private func collectOperations(_ page: inout Exposition) {
    let series = Self.merged(state.operations.all)
    let wellEnded = series.filter { $0.operation.error == nil }
    page.family(
      "gen_ai_server_request_duration_seconds", .histogram,
      "From the complete request to the response's last byte; error_type is the outcome, where it is not ok.")
    for one in series { page.histogram(one.duration, labels(one.operation)) }
    page.family(
      "gen_ai_server_time_to_first_token_seconds", .histogram,
      "From the complete request to the first token, of streams that ended well.")
    for one in wellEnded { page.histogram(one.timeToFirstToken, labels(one.operation)) }
    page.family(
      "gen_ai_server_time_per_output_token_seconds", .histogram,
      "(Last token - first token) / (tokens - 1), of streams that ended well.")
    for one in wellEnded { page.histogram(one.timePerOutputToken, labels(one.operation)) }
    page.family(
      "gen_ai_client_operation_time_per_output_chunk_seconds", .histogram,
      "Gaps between the events that carry tokens, of streams that ended well.")
    for one in wellEnded { page.histogram(one.gaps, labels(one.operation)) }
    page.family(
      "tachograph_tokens_total", .counter,
      "Tokens by the best count there was; of a stream that never said it, its events, which is a lower bound.")
    // None is not zero: a server that says no counts has no samples here.
    for one in series {
      if one.inputTokens > 0 { page.sample(one.inputTokens, labels(one.operation, tokenType: "input")) }
      if one.outputTokens > 0 { page.sample(one.outputTokens, labels(one.operation, tokenType: "output")) }
    }
  }

  /// A model's requests are counted together, whatever became of them.
  private func collectUnread(_ page: inout Exposition) {
    page.family(
      "tachograph_requests_unread_total", .counter,
      "Requests whose body was not read to its end, by the model that they named and by the reason: their model or user may be missing in the record."
    )
    // What named no model is there from the start, so that an increase can be seen of the first one.
    var counts: [(model: String?, counts: [UInt64])] = [(nil, RequestObstacle.allCases.map { _ in 0 })]
    for one in state.operations.all {
      let own = RequestObstacle.allCases.map { one.unread.count($0) }
      guard own.contains(where: { $0 > 0 }) else { continue }
      if let place = counts.firstIndex(where: { $0.model == one.operation.model }) {
        for index in own.indices { counts[place].counts[index] &+= own[index] }
      } else {
        counts.append((one.operation.model, own))
      }
    }
    for (model, counts) in counts {
      for (reason, count) in zip(RequestObstacle.allCases, counts) where count > 0 || model == nil {
        page.sample(count, ["gen_ai_request_model": model, "reason": reason.rawValue])
      }
    }
  }

  /// OpenTelemetry's attributes, as Prometheus writes them.
  private func labels(_ operation: Operation, tokenType: String? = nil) -> Exposition.Labels {
    [
      "gen_ai_operation_name": operation.name, "gen_ai_provider_name": operation.provider,
      "gen_ai_request_model": operation.model, "gen_ai_response_model": operation.responseModel,
      "error_type": operation.error?.rawValue, "gen_ai_token_type": tokenType,
    ]
  }

  /// One series of all workers together.
  private struct Merged {
    let operation: Operation
    var duration: BucketCounts
    var timeToFirstToken: BucketCounts
    var timePerOutputToken: BucketCounts
    var gaps: BucketCounts
    var inputTokens: UInt64
    var outputTokens: UInt64

    init(_ one: OperationCounters) {
      operation = one.operation
      duration = one.duration.counts
      timeToFirstToken = one.timeToFirstToken.counts
      timePerOutputToken = one.timePerOutputToken.counts
      gaps = one.gaps.counts
      inputTokens = one.inputTokens.count
      outputTokens = one.outputTokens.count
    }

    mutating func add(_ other: Merged) {
      duration.merge(other.duration)
      timeToFirstToken.merge(other.timeToFirstToken)
      timePerOutputToken.merge(other.timePerOutputToken)
      gaps.merge(other.gaps)
      inputTokens &+= other.inputTokens
      outputTokens &+= other.outputTokens
    }
  }

  /// The workers' series added up, in the order in which they first came.
  private static func merged(_ all: [OperationCounters]) -> [Merged] {
    var places: [Operation: Int] = [:]
    var series: [Merged] = []
    for one in all {
      if let place = places[one.operation] {
        series[place].add(Merged(one))
      } else {
        places[one.operation] = series.count
        series.append(Merged(one))
      }
    }
    return series
  }
}

extension Outcome {
  /// Whether an exchange that ended so had come all the way.
  fileprivate var endsWithoutStage: Bool {
    switch self {
    case .ok, .upstreamStatus, .tunnelled: true
    case .streamError, .truncated, .clientCancelled, .upstreamUnreachable, .upstreamReset, .upstreamInvalid, .timeout,
      .rejected, .interrupted:
      false
    }
  }
}
