// Which exchanges a tail shows.
import Measurement

/// The exchanges a tail shows: those that meet every condition set.
public struct TailFilter: Hashable, Sendable {
  /// The exact user.
  public var user: String?
  /// The exact model, as asked for or as answered.
  public var model: String?
  /// The least TTFT, in ms. A wait that ended without a token counts too if it was as long.
  public var slowestFromMilliseconds: Double?
  /// When an exchange must have begun.
  public var window: TimeWindow

  /// A filter; without conditions it matches everything.
  public init(
    user: String? = nil, model: String? = nil, slowestFromMilliseconds: Double? = nil, window: TimeWindow = TimeWindow()
  ) {
    self.user = user
    self.model = model
    self.slowestFromMilliseconds = slowestFromMilliseconds
    self.window = window
  }

  /// Whether `record` is to be shown.
  public func matches(_ record: ExchangeRecord) -> Bool {
    guard window.contains(record.timestampNanoseconds) else { return false }
    if let user, !Self.isSame(record.user, user) { return false }
    if let model, !Self.isSame(record.model, model), !Self.isSame(record.responseModel, model) { return false }
    guard let slowestFromMilliseconds else { return true }
    return (record.ttftMilliseconds ?? record.waitedMilliseconds).map { $0 >= slowestFromMilliseconds } ?? false
  }

  /// Bytes, not text: two names that Swift takes for the same text (`é` in one scalar and in two) are two users.
  private static func isSame(_ one: String?, _ other: String) -> Bool {
    one.map { $0.utf8.elementsEqual(other.utf8) } ?? false
  }
}
