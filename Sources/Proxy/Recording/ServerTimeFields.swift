// The header fields in which Text Generation Inference states its times, on answers that are not streamed
// (Documentation.docc/Dialects.md, "TGI").
import HTTP
import TokenWire

/// Where those fields are in heads of one kind.
struct ServerTimeFields {
  private let queue: Int?
  private let total: Int?
  private let perToken: Int?

  /// Nil where a head is not that server's.
  init?(_ head: ResponseHead) {
    guard head.fields.firstIndex(named: "x-inference-time") != nil else { return nil }
    queue = head.fields.firstIndex(named: "x-queue-time")
    total = head.fields.firstIndex(named: "x-total-time")
    perToken = head.fields.firstIndex(named: "x-time-per-token")
  }

  /// The times of a head; whole milliseconds, as the server rounds them.
  func durations(in head: ResponseHead) -> ServerDurations {
    var durations = ServerDurations()
    durations.queueMilliseconds = milliseconds(queue, head)
    durations.totalMilliseconds = milliseconds(total, head)
    durations.itlMilliseconds = milliseconds(perToken, head)
    return durations
  }

  private func milliseconds(_ field: Int?, _ head: ResponseHead) -> Double? {
    guard let field else { return nil }
    let text = head.fields.text(head.fields.list[field].value)
    guard let number = Int(text), number >= 0 else { return nil }
    return Double(number)
  }
}
