// Bytes that came behind the request under way, with the time at which each was read.
import Clocks

/// Bytes that wait until the request before them has its reply.
public struct PipelinedBytes: Sendable {
  /// Bytes that are kept while a request is under way; beyond that the client has to wait.
  private static let maxBytes = 64 * 1024
  /// Reads whose times are kept; a client that sends single bytes has to wait, too.
  private static let maxReads = 256

  private struct Read {
    let start: Int
    let at: Instant
  }

  /// The bytes.
  public private(set) var bytes: [UInt8] = []
  private var reads: [Read] = []

  /// No bytes.
  public init() {}

  /// Whether there are none.
  public var isEmpty: Bool { bytes.isEmpty }
  /// Whether reading should pause.
  public var isFull: Bool { bytes.count > Self.maxBytes || reads.count >= Self.maxReads }
  /// When the first byte was read.
  public var firstAt: Instant? { reads.first?.at }

  /// Appends the bytes of one read.
  public mutating func append(_ read: RawSpan, at: Instant) {
    reads.append(Read(start: bytes.count, at: at))
    unsafe read.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  /// The bytes behind the first `count`, with the times of their reads.
  public func dropping(_ count: Int) -> PipelinedBytes {
    var rest = PipelinedBytes()
    guard count < bytes.count else { return rest }
    rest.bytes = Array(bytes[count...])
    let first = reads.lastIndex { $0.start <= count } ?? 0
    rest.reads = reads[first...].map { Read(start: max(0, $0.start - count), at: $0.at) }
    return rest
  }
}
