// The results of a load, in numbers.
import Clocks

/// The outcome of one load.
public struct LoadSummary {
  /// The arrivals of one response's tokens, for `TruthJoin`.
  struct Arrivals {
    var id: String
    var tokens: [Instant]
  }
  var elapsedNanoseconds: Int64 = 0
  private(set) var arrivals: [Arrivals] = []
  private let idPrefix: String
  private var endings: [LoadResult.Ending: Int] = [:]
  private var tokens = 0
  private var bytes = 0
  private var ttftNanoseconds: [Int64] = []
  private var totalNanoseconds: [Int64] = []
  /// For each token: this client's arrival minus the server's time just before its write; after `compare(withTruth:)`.
  var delayNanoseconds: [Int64]?

  init(idPrefix: String) { self.idPrefix = idPrefix }

  /// Whether any request failed (broken, without its terminator, with an error event, with a status other than 200).
  public var hasFailures: Bool {
    LoadResult.Ending.allCases.contains { ending in
      switch ending {
      case .ok, .aborted, .cutAtEnd: false
      case .status, .unterminated, .inBandError, .broken: endings[ending, default: 0] > 0
      }
    }
  }

  mutating func add(_ result: LoadResult) {
    endings[result.ending, default: 0] += 1
    tokens += result.tokens
    bytes += result.bytes
    if let firstTokenAt = result.firstTokenAt {
      ttftNanoseconds.append(firstTokenAt.nanoseconds(since: result.sentAt))
    }
    if result.ending == .ok { totalNanoseconds.append(result.endAt.nanoseconds(since: result.sentAt)) }
    guard !result.arrivals.isEmpty else { return }
    arrivals.append(Arrivals(id: "\(idPrefix)-\(result.number)", tokens: result.arrivals))
  }

  /// One JSON object. Durations in milliseconds, delays in microseconds.
  public var json: String {
    let seconds = Double(elapsedNanoseconds) / 1e9
    var parts = LoadResult.Ending.allCases.map { "\"\($0.rawValue)\":\(endings[$0, default: 0])" }
    parts.append("\"requests\":\(endings.values.reduce(0, +))")
    parts.append("\"tokens\":\(tokens)")
    parts.append("\"bytes\":\(bytes)")
    parts.append("\"seconds\":\(decimal(seconds))")
    parts.append("\"requests_per_second\":\(decimal(Double(totalNanoseconds.count) / seconds))")
    parts.append("\"tokens_per_second\":\(decimal(Double(tokens) / seconds))")
    parts.append("\"ttft_ms\":\(quantiles(ttftNanoseconds, unit: 1e6))")
    parts.append("\"total_ms\":\(quantiles(totalNanoseconds, unit: 1e6))")
    parts.append("\"delay_us\":\(delayNanoseconds.map { quantiles($0, unit: 1e3) } ?? "null")")
    return "{\(parts.joined(separator: ","))}"
  }

  private func quantiles(_ values: [Int64], unit: Double) -> String {
    guard !values.isEmpty else { return "null" }
    let sorted = values.sorted()
    /// The nearest rank: always a value that occurred.
    func quantile(_ share: Double) -> String {
      let rank = max(1, Int((share * Double(sorted.count)).rounded(.up)))
      return decimal(Double(sorted[min(rank, sorted.count) - 1]) / unit)
    }
    return
      "{\"n\":\(sorted.count),\"p50\":\(quantile(0.5)),\"p90\":\(quantile(0.9)),\"p99\":\(quantile(0.99)),"
      + "\"max\":\(quantile(1))}"
  }

  private func decimal(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
}
