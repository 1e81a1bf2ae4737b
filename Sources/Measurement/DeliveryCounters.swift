// Delivery times of all reads of a worker, for the metrics: the same times that each exchange's record sums up.
import Metrics

/// Distributions over all reads of one worker, filled by its thread soon after they are delivered.
public final class DeliveryCounters: Sendable {
  /// From 10 µs, where a loop that has nothing else to do lies, to a minute, where a client has stopped reading.
  private static let buckets = Buckets(seconds: [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
    2.5,
    5, 10, 30, 60,
  ])

  /// From a read's arrival to the client's socket having accepted its bytes: `delivery_us`.
  public let delay = BucketCounter(buckets)
  /// From a read's arrival, by the kernel's stamp, to the loop's reading it: `loop_lag_us`.
  public let lag = BucketCounter(buckets)

  /// Counts of nothing.
  public init() {}
}
