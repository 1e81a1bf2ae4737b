// What a target's runs share, so that one run costs no more than what it checks.
import Glibc
import HTTP1
import JSON
import RecordLog
import TokenWire

/// The memory of one target's runs, and how thorough they are. Not `Sendable`.
public final class FuzzRun {
  /// Parses every event.
  let parsing = DecodingContext(usesCache: false)
  /// Has seen the events of earlier runs.
  let caching = DecodingContext()
  let json = JSONParser()
  let records = RecordParser()
  let ranges = BodyRanges()
  let output = OutputBuffer()
  /// A file of this run's own, to write what is read as a file. Made when it is first used.
  private(set) lazy var file = ScratchFile()
  /// Whether bytes are cut in every way and read as every type; if not, in one way and as one type, which depend on the bytes
  /// alone: a fuzzer has many inputs, and reaches more with short runs.
  let isThorough: Bool
  /// Of the bytes that are being checked.
  private var digest: UInt64 = 0

  /// - Parameter isThorough: for the replay of a corpus; a fuzzer's runs are not.
  public init(isThorough: Bool) { self.isThorough = isThorough }

  /// Begins the run on `bytes`.
  func begin(_ bytes: [UInt8]) { digest = hash(bytes.span) }

  /// The ways to cut `bytes` that are checked.
  func ways(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
    isThorough ? everyWay(bytes) : [cut(bytes, most: [1, 7, 40, 400][Int(digest % 4)], digest)]
  }

  /// Those of `choices` that are checked.
  func some<Choice>(of choices: [Choice]) -> [Choice] {
    isThorough ? choices : [choices[Int(digest >> 8) % choices.count]]
  }

  /// Whether to make a check that is made for one of `count` inputs.
  func isOne(of count: Int) -> Bool { isThorough || (digest >> 24) % UInt64(count) == 0 }
}

/// A file without a name, in memory.
struct ScratchFile {
  private let descriptor: Int32

  init() {
    var path = Array("/dev/shm/tachograph-fuzz-XXXXXX\0".utf8CString)
    descriptor = unsafe mkstemp(&path)
    _ = unsafe unlink(path)
  }

  /// Where it can be opened.
  var path: String { "/proc/self/fd/\(descriptor)" }

  /// Makes `bytes` the content.
  /// - Returns: whether that could be done.
  func write(_ bytes: [UInt8]) -> Bool {
    guard ftruncate(descriptor, 0) == 0 else { return false }
    return unsafe bytes.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0) } == bytes.count
  }
}

/// FNV-1a, mixed once more: the low bits alone depend on few of the bytes.
private func hash(_ bytes: Span<UInt8>) -> UInt64 {
  var digest: UInt64 = 0xCBF2_9CE4_8422_2325
  for index in bytes.indices { digest = (digest ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
  return digest ^ (digest >> 32)
}

/// Pieces of 1 to `most` bytes: the same bytes are cut alike each time.
private func cut(_ bytes: [UInt8], most: Int, _ digest: UInt64) -> [ArraySlice<UInt8>] {
  var state = digest
  var pieces: [ArraySlice<UInt8>] = []
  pieces.reserveCapacity(2 * bytes.count / (most + 1) + 1)
  var start = 0
  while start < bytes.count {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let end = min(bytes.count, start + 1 + Int(state >> 33) % most)
    pieces.append(bytes[start..<end])
    start = end
  }
  return pieces
}

/// The same bytes whole, byte by byte, and in two ways between that depend on them alone.
private func everyWay(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
  let digest = hash(bytes.span)
  return [[bytes[...]]] + [1, 7, 40].map { cut(bytes, most: $0, digest) }
}
