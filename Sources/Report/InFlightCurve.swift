// Latency and throughput by how many exchanges were in flight: the curve of batch size against both.
import Measurement

/// `ok` exchanges that found about as many others in flight, by the record's `in_flight` (itself included).
struct InFlightTally: Sendable {
  private(set) var exchanges = 0
  private(set) var ttft = Distribution()
  private(set) var tpot = Distribution()
  private(set) var tokensPerSecond = Distribution()
  /// Sums over the exchanges that say both their tokens and their time.
  private var measured = 0
  private var inFlightSum = 0
  private var tokens = 0
  private var microseconds: UInt64 = 0

  /// Output tokens a second of all streams together, by Little's law: as many as were in flight on average, each with
  /// tokens / time. An estimate: it holds as far as the number in flight stayed what it was at dispatch.
  var estimatedTokensPerSecond: Double? {
    guard measured > 0, microseconds > 0 else { return nil }
    return Double(inFlightSum) / Double(measured) * Double(tokens) / (Double(microseconds) / 1e6)
  }

  mutating func add(_ row: ReportRow, inFlight: Int) {
    exchanges += 1
    if let value = row.ttft { ttft.record(value) }
    if let value = row.tpot { tpot.record(value) }
    if let value = row.tokensPerSecond { tokensPerSecond.record(value) }
    guard let output = row.outputTokens, let total = row.totalMicroseconds else { return }
    measured += 1
    inFlightSum &+= inFlight
    tokens &+= output
    microseconds &+= total
  }

  mutating func merge(_ other: InFlightTally) {
    exchanges += other.exchanges
    ttft.merge(other.ttft)
    tpot.merge(other.tpot)
    tokensPerSecond.merge(other.tokensPerSecond)
    measured += other.measured
    inFlightSum &+= other.inFlightSum
    tokens &+= other.tokens
    microseconds &+= other.microseconds
  }
}

/// The tallies for 1, 2, 3-4, 5-8, 9-16, … in flight.
struct InFlightCurve: Sendable {
  private(set) var buckets: [InFlightTally] = []

  /// The bucket of `inFlight` (at least 1).
  static func bucket(of inFlight: Int) -> Int { inFlight <= 1 ? 0 : Int.bitWidth - (inFlight - 1).leadingZeroBitCount }

  /// The numbers in flight that `bucket` holds.
  static func range(of bucket: Int) -> ClosedRange<Int> {
    bucket == 0 ? 1...1 : ((1 << (bucket - 1)) + 1)...(1 << bucket)
  }

  mutating func add(_ row: ReportRow) {
    guard row.outcome == .ok, !row.isLeftOut, let inFlight = row.inFlight, (1...1 << 30).contains(inFlight) else {
      return
    }
    let bucket = Self.bucket(of: inFlight)
    while buckets.count <= bucket { buckets.append(InFlightTally()) }
    buckets[bucket].add(row, inFlight: inFlight)
  }

  mutating func merge(_ other: InFlightCurve) {
    while buckets.count < other.buckets.count { buckets.append(InFlightTally()) }
    for bucket in other.buckets.indices { buckets[bucket].merge(other.buckets[bucket]) }
  }
}
