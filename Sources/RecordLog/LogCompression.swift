// Compressed logs: told by their first bytes, and inflated while they are read.
import ContentCoding
import Glibc

/// How a log is compressed, as its first bytes say, whatever its name.
public enum LogCompression: String, CaseIterable, Sendable {
  case gzip
  case zstd
  case bzip2
  case xz
  case lz4

  /// Bytes by which every format is told.
  static let magicBytes = 6

  /// The compression of a file that begins with `start`; nil where it is none of these.
  init?(_ start: some Collection<UInt8>) {
    let found = Self.allCases.first { start.starts(with: $0.magic) }
    guard let found else { return nil }
    self = found
  }

  /// The compression of a regular file, whose position does not change.
  init?(ofFile descriptor: Int32) {
    var start = [UInt8](repeating: 0, count: Self.magicBytes)
    let count = unsafe start.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
    self.init(start.prefix(max(count, 0)))
  }

  private var magic: [UInt8] {
    switch self {
    case .gzip: [0x1F, 0x8B]
    case .zstd: [0x28, 0xB5, 0x2F, 0xFD]
    case .bzip2: [0x42, 0x5A, 0x68]
    case .xz: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]
    case .lz4: [0x04, 0x22, 0x4D, 0x18]
    }
  }

  /// The coding of those that are read here.
  var coding: ContentCoding? {
    switch self {
    case .gzip: .gzip
    case .zstd: .zstd
    case .bzip2, .xz, .lz4: nil
    }
  }

  /// The program that writes the content to standard output.
  var tool: String {
    switch self {
    case .gzip: "zcat"
    case .zstd: "zstdcat"
    case .bzip2: "bzcat"
    case .xz: "xzcat"
    case .lz4: "lz4cat"
    }
  }
}

/// Reads a stream of bytes that may be compressed, block by block. Not `Sendable`: one thread reads.
struct LogInflater {
  private let path: String
  private var inflater: Inflater?
  private var hasBegun = false
  /// What came before the format could be told.
  private var start: [UInt8] = []
  /// What the inflater has not taken of the block before.
  private var rest: [UInt8] = []

  init(path: String) { self.path = path }

  /// Passes on what the next bytes stand for.
  mutating func read(_ bytes: RawSpan, _ body: (RawSpan) -> Void) throws(RecordReadError) {
    guard !hasBegun else { return try pass(bytes, body) }
    unsafe bytes.withUnsafeBytes { unsafe start.append(contentsOf: $0) }
    if start.count >= LogCompression.magicBytes { try begin(body) }
  }

  /// Passes on the last bytes.
  /// - Returns: whether the content is whole: false where a compressed file was cut.
  mutating func finish(_ body: (RawSpan) -> Void) throws(RecordReadError) -> Bool {
    if !hasBegun { try begin(body) }
    return inflater?.hasEnded ?? true
  }

  private mutating func begin(_ body: (RawSpan) -> Void) throws(RecordReadError) {
    hasBegun = true
    if let compression = LogCompression(start) {
      guard let coding = compression.coding else {
        throw .compressed(path: path, compression, readWith: "report")
      }
      guard let inflater = Inflater(coding) else { throw .system(path: path, call: "inflate", errno: ENOMEM) }
      self.inflater = inflater
    }
    let first = start
    start = []
    try pass(unsafe first.span.bytes, body)
  }

  private mutating func pass(_ bytes: RawSpan, _ body: (RawSpan) -> Void) throws(RecordReadError) {
    guard let inflater else { return body(bytes) }
    do throws(InflateError) {
      guard !rest.isEmpty else {
        let taken = try inflater.inflate(bytes, atMost: .max, body)
        return unsafe bytes.extracting(droppingFirst: taken).withUnsafeBytes { unsafe rest = Array($0) }
      }
      unsafe bytes.withUnsafeBytes { unsafe rest.append(contentsOf: $0) }
      let taken = try inflater.inflate(unsafe rest.span.bytes, atMost: .max, body)
      rest.removeFirst(taken)
    } catch {
      throw .damaged(path: path, isTooLarge: error == .tooLarge)
    }
  }
}
