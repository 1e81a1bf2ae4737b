// What a client sent behind the request that is under way, with the time at which each byte came.
// It must not know what the bytes are.
import Clocks

/// Bytes that wait for their turn, read by read.
struct PipelinedBytes {
  /// Bytes that are kept while an exchange is under way; beyond that the client has to wait.
  private static let mostBytes = 64 * 1024
  /// Reads that are told apart: a client that sends byte by byte has to wait, too.
  private static let mostReads = 256

  private struct Read {
    let start: Int
    let at: Instant
  }

  private(set) var bytes: [UInt8] = []
  private var reads: [Read] = []

  var isEmpty: Bool { bytes.isEmpty }
  /// Whether no more should be read for now.
  var isFull: Bool { bytes.count > Self.mostBytes || reads.count >= Self.mostReads }
  /// When the first byte came.
  var firstAt: Instant? { reads.first?.at }

  /// Adds what one read brought.
  mutating func append(_ read: RawSpan, at: Instant) {
    reads.append(Read(start: bytes.count, at: at))
    unsafe read.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  /// What is left behind the first `count` bytes; of a read that is used up nothing, not even its time.
  func dropping(_ count: Int) -> PipelinedBytes {
    var rest = PipelinedBytes()
    guard count < bytes.count else { return rest }
    rest.bytes = Array(bytes[count...])
    let first = reads.lastIndex { $0.start <= count } ?? 0
    rest.reads = reads[first...].map { Read(start: max(0, $0.start - count), at: $0.at) }
    return rest
  }
}
