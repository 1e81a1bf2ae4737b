// Times as arguments: `--since 14:00`.
import ArgumentParser
import Clocks
import Report

/// An argument that is a time.
enum TimeArgument {
  /// Nanoseconds since 1970.
  @Sendable static func nanoseconds(_ text: String) throws -> Int64 {
    guard let bound = TimeWindow.bound(text, now: WallAnchor.now().realtimeNanoseconds) else {
      throw ValidationError("It takes \(TimeWindow.accepted).")
    }
    return bound
  }
}
