// How an exchange ended.
import Measurement

/// How an exchange ended, as its record says it.
struct Termination: Hashable, Sendable {
  var outcome: Outcome
  /// How far it had come; nil where it came all the way.
  var stage: Stage?
  var failure: ExchangeFailure?
}
