// What all recorders of one worker share.
import Measurement
import RecordLog

/// What the settings say of how an exchange is recorded.
struct RecordingOptions: Sendable {
  /// Each token-bearing event's instant is kept.
  var keepsTimeline = false
  /// The shortest gap that is a stall.
  var stallNanoseconds: Int64 = .max
}

/// Where records come from and go to on one worker: ids, memory, the deferred decoder, counters, the log. Confined to the
/// worker's thread.
final class RecordingResources {
  let decoder = DeferredDecoder()
  let states = FreeList<RecorderState>(kept: 256)
  let ids = UniqueBox(UUIDv7Generator())
  let counters: Counters
  let models: ModelMetrics
  /// Which users have metrics of their own; nil where none may.
  let users: UserRegistry?
  let writer: RecordWriter

  init(counters: Counters, models: ModelRegistry, users: UserRegistry? = nil, writer: RecordWriter) {
    self.users = users
    self.counters = counters
    self.models = ModelMetrics(registry: models)
    self.writer = writer
  }
}
