// Compares the arrivals at the client with the simulator's truth of when each token was written.
import Clocks
import Glibc
import JSON

extension LoadSummary {
  /// Reads a truth file and computes every token's delay, by the requests' ids.
  ///
  /// The simulator writes a request's line as the request ends: missing lines are waited for, 2 s at most.
  /// - Returns: how many of the requests with arrivals were found.
  public mutating func compare(withTruth path: String) -> (found: Int, wanted: Int) {
    var found = 0
    for _ in 0..<20 {
      let truth = TruthJoin.writes(path: path)
      var delays: [Int64] = []
      found = 0
      for answer in arrivals {
        guard let writes = truth[answer.id] else { continue }
        found += 1
        for (arrivedAt, writtenAt) in zip(answer.tokens, writes) {
          delays.append(arrivedAt.nanoseconds(since: writtenAt))
        }
      }
      delayNanoseconds = delays
      if found == arrivals.count { break }
      usleep(100_000)
    }
    return (found, arrivals.count)
  }
}

enum TruthJoin {
  /// The instants just before each token's write, by request id.
  static func writes(path: String) -> [String: [Instant]] {
    var writes: [String: [Instant]] = [:]
    let parser = JSONParser(retainedBytes: 1 << 20)
    for line in read(path).split(separator: 0x0A) {
      _ = unsafe parser.parse(Array(line).span.bytes) { root in
        guard let id = root["request_id"]?.string else { return }
        var instants: [Instant] = []
        root["writes"]?.forEachElement { write in
          var isFirst = true
          write.forEachElement { value in
            guard isFirst, let nanoseconds = value.int else { return }
            instants.append(Instant(nanoseconds: UInt64(nanoseconds)))
            isFirst = false
          }
        }
        writes[id] = instants
      }
    }
    return writes
  }

  private static func read(_ path: String) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    while true {
      let piece = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
        count = unsafe max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
      }
      if piece.isEmpty { return bytes }
      bytes += piece
    }
  }
}
