// The numbers of an exchange that goes on.
import Clocks

extension ExchangeMeter {
  /// Fills a record as `fill` does, as if the exchange ended at `now`. The meter goes on as if nothing had been asked.
  public mutating func fillProvisionally(_ record: inout ExchangeRecord, at now: Instant) {
    let (end, stalls, model, reason) = (endedAt, stalls, responseModel, finishReason)
    if end == nil { endedAt = now }
    fill(&record)
    (endedAt, self.stalls, responseModel, finishReason) = (end, stalls, model, reason)
  }
}
