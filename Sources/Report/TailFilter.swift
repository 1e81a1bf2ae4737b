// Which exchanges a tail shows.
// It must not know how they are shown.
import Measurement

/// The exchanges a tail shows: those that meet every condition set.
public struct TailFilter: Hashable, Sendable {
  /// The user, to the letter.
  public var user: String?
  /// The model as asked or as answered, to the letter.
  public var model: String?
  /// The shortest TTFT, in ms. A wait that ended without a token counts too once it was as long.
  public var slowestFromMilliseconds: Double?

  /// A filter; without conditions it lets everything through.
  public init(user: String? = nil, model: String? = nil, slowestFromMilliseconds: Double? = nil) {
    self.user = user
    self.model = model
    self.slowestFromMilliseconds = slowestFromMilliseconds
  }

  /// Whether `record` is to be shown.
  public func matches(_ record: ExchangeRecord) -> Bool {
    if let user, record.user != user { return false }
    if let model, record.model != model, record.responseModel != model { return false }
    guard let slowestFromMilliseconds else { return true }
    return (record.ttftMilliseconds ?? record.waitedMilliseconds).map { $0 >= slowestFromMilliseconds } ?? false
  }
}
