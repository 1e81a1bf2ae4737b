// Waking one thread from others, and waiting for that with a timeout: a pipe, so that it can be polled beside a sink.
import Glibc

/// A wake-up that stays set until it is cleared.
package final class Wakeup: Sendable {
  private let reading: Int32
  private let writing: Int32

  /// Nil where no descriptors are left (`errno`).
  package init?() {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    (reading, writing) = (ends[0], ends[1])
  }

  deinit {
    close(reading)
    close(writing)
  }

  /// Sets it, without blocking: a pipe that is full is set.
  package func set() {
    var one: UInt8 = 1
    _ = unsafe write(writing, &one, 1)
  }

  /// Clears it.
  package func clear() {
    var bytes: UInt64 = 0
    while unsafe read(reading, &bytes, 8) == 8 {}
  }

  /// Whether it is set.
  package var isSet: Bool {
    var entry = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, 0) == 1
  }

  /// Waits until it is set, `writable` takes bytes, or `milliseconds` (negative: no limit) have passed.
  package func wait(milliseconds: Int32, orWritable writable: Int32? = nil) {
    if let writable {
      var entries = (
        pollfd(fd: reading, events: Int16(POLLIN), revents: 0),
        pollfd(fd: writable, events: Int16(POLLOUT), revents: 0)
      )
      _ = unsafe withUnsafeMutablePointer(to: &entries) { entries in
        unsafe entries.withMemoryRebound(to: pollfd.self, capacity: 2) { unsafe poll($0, 2, milliseconds) }
      }
    } else {
      var entry = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      _ = unsafe poll(&entry, 1, milliseconds)
    }
  }
}
