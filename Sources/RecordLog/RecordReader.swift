// A log opened to be read once: its lines, all of them or by ranges that several threads share. RecordFollower waits for more.
import Glibc

/// Why a log cannot be read.
public enum RecordReadError: Error, Equatable, CustomStringConvertible, Sendable {
  /// A system call on `path` failed with `errno`.
  case system(path: String, call: String, errno: Int32)
  /// `path` is a directory.
  case isDirectory(path: String)
  /// `path` is compressed in a way that is not read here: none but gzip and zstd are, and those are not followed.
  case compressed(path: String, LogCompression, readWith: String)
  /// `path` is compressed and its content is not what that promises, or needs a larger window than is allowed.
  case damaged(path: String, isTooLarge: Bool)

  /// One line for the operator, with the path as it was given.
  public var description: String {
    switch self {
    case .system(let path, let call, let errno):
      "cannot \(call) \(path): \(unsafe String(cString: strerror(errno)))"
    case .isDirectory(let path): "\(path) is a directory, not a record log"
    case .compressed(let path, let compression, let command):
      "\(path) is compressed with \(compression.rawValue); read it with: \(compression.tool) \(path) | tachograph \(command) -"
    case .damaged(let path, false): "\(path) is compressed and damaged; what can be read of it: zcat or zstdcat"
    case .damaged(let path, true):
      "\(path) needs a window of more than 8 MiB; read it with: zstdcat --long=31 \(path) | tachograph report -"
    }
  }
}

/// A log opened for reading. It owns its descriptor; threads may share it where it is a regular file.
public final class RecordReader: Sendable {
  /// The name that means standard input.
  public static let standardInput = "-"
  static let blockBytes = 1 << 20

  /// As it was given.
  public let path: String
  /// The file's size when it was opened; nil for a pipe, a FIFO or a terminal, which are read to their end, and for a
  /// compressed file, of which no part can be read by itself.
  public var byteCount: Int? { isCompressed ? nil : storedByteCount }
  /// The same, also of a compressed file.
  public let storedByteCount: Int?
  /// Whether this is a compressed file. Standard input may be compressed, too.
  public let isCompressed: Bool
  private let descriptor: Int32
  private let ownsDescriptor: Bool

  /// Opens `path`, or standard input for `-`.
  public init(path: String) throws(RecordReadError) {
    self.path = path
    let isStandardInput = path == Self.standardInput
    descriptor = isStandardInput ? STDIN_FILENO : unsafe open(path, O_RDONLY | O_CLOEXEC)
    ownsDescriptor = !isStandardInput
    guard descriptor >= 0 else { throw .system(path: path, call: "open", errno: errno) }
    do {
      storedByteCount = try Self.size(descriptor, path: path)
      isCompressed = storedByteCount == nil ? false : try Self.isCompressed(descriptor, path: path)
    } catch {
      // `deinit` does not run for an object whose `init` throws.
      if ownsDescriptor { close(descriptor) }
      throw error
    }
  }

  deinit { if ownsDescriptor { close(descriptor) } }

  private static func size(_ descriptor: Int32, path: String) throws(RecordReadError) -> Int? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .system(path: path, call: "stat", errno: errno) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: throw .isDirectory(path: path)
    // A file that is standard input may be positioned past its start: it is read from there, as a stream.
    case S_IFREG where path != standardInput: return Int(status.st_size)
    default: return nil
    }
  }

  private static func isCompressed(_ descriptor: Int32, path: String) throws(RecordReadError) -> Bool {
    guard let compression = LogCompression(ofFile: descriptor) else { return false }
    guard compression.coding != nil else { throw .compressed(path: path, compression, readWith: "report") }
    return true
  }

  /// Calls `body` with every line from the start to the end, the last one with or without its newline.
  /// - Parameter didRead: called with the size of each block after its lines have been passed on.
  /// - Returns: lines skipped because they are longer than 64 MiB, or because a compressed file was cut there.
  public func forEachLine(
    didRead: (Int) -> Void = { _ in }, _ body: (RawSpan) -> Void
  ) throws(RecordReadError) -> Int {
    if let byteCount { return try forEachLine(startingIn: 0..<byteCount, didRead: didRead, body) }
    var splitter = LineSplitter()
    var inflater = LogInflater(path: path)
    var block = Block(path: path, byteCount: Self.blockBytes)
    while case let count = try block.fill(from: descriptor), count > 0 {
      let result = block.withBytes(in: 0..<count) { bytes in
        Result { () throws(RecordReadError) in try inflater.read(bytes) { splitter.push($0, body) } }
      }
      try result.get()
      didRead(count)
    }
    let isWhole = try inflater.finish { splitter.push($0, body) }
    // Where a compressed file was cut, its last line is, too.
    if !isWhole, splitter.discardPartialLine() { return splitter.overlongLines + 1 }
    splitter.finish(body)
    return splitter.overlongLines + (isWhole ? 0 : 1)
  }

  /// Calls `body` with every line whose first byte lies in `range`: adjoining ranges give each line once.
  /// Only for a reader with a `byteCount`.
  public func forEachLine(
    startingIn range: Range<Int>, didRead: (Int) -> Void = { _ in }, _ body: (RawSpan) -> Void
  ) throws(RecordReadError) -> Int {
    var splitter = LineSplitter()
    var block = Block(path: path, byteCount: min(Self.blockBytes, max(range.count, 1) + 1))
    // A line starts here only if the byte before is a newline, so that byte is read too.
    var offset = max(range.lowerBound - 1, 0)
    var isInsideEarlierLine = range.lowerBound > 0
    while offset < range.upperBound {
      let count = try block.fill(from: descriptor, at: offset, upTo: range.upperBound - offset)
      if count == 0 { break }
      offset += count
      var start = 0
      if isInsideEarlierLine {
        let newline = block.withBytes(in: 0..<count) { bytes in bytes.newline(from: 0) }
        isInsideEarlierLine = newline == nil
        start = newline.map { $0 + 1 } ?? count
      }
      block.withBytes(in: start..<count) { bytes in splitter.push(bytes, body) }
      didRead(count)
    }
    if splitter.hasPartialLine { try finishLine(&splitter, &block, from: offset, body) }
    return splitter.overlongLines
  }

  /// Reads past the end of a range until the line that began in it is whole, or the file ends.
  private func finishLine(
    _ splitter: inout LineSplitter, _ block: inout Block, from start: Int, _ body: (RawSpan) -> Void
  ) throws(RecordReadError) {
    var offset = start
    while offset < byteCount ?? 0 {
      let count = try block.fill(from: descriptor, at: offset, upTo: min(16 * 1024, (byteCount ?? 0) - offset))
      if count == 0 { break }
      offset += count
      let newline = block.withBytes(in: 0..<count) { bytes in bytes.newline(from: 0) }
      block.withBytes(in: 0..<(newline.map { $0 + 1 } ?? count)) { bytes in splitter.push(bytes, body) }
      if newline != nil { return }
    }
    splitter.finish(body)
  }
}

/// Memory for one read.
struct Block {
  private let path: String
  private var memory: [UInt8]

  init(path: String, byteCount: Int) {
    self.path = path
    memory = [UInt8](repeating: 0, count: byteCount)
  }

  /// Passes a part of the last read to `body`.
  func withBytes<Result>(in range: Range<Int>, _ body: (RawSpan) -> Result) -> Result {
    body(unsafe memory.span.bytes.extracting(range))
  }

  /// Reads from the descriptor's position on.
  /// - Returns: bytes read; 0 at the end. A non-blocking descriptor with nothing to read throws EAGAIN.
  mutating func fill(from descriptor: Int32) throws(RecordReadError) -> Int {
    try unsafe fill { unsafe read(descriptor, $0.baseAddress, $0.count) }
  }

  /// Reads at most `limit` bytes at `offset`; the descriptor's position does not change.
  mutating func fill(from descriptor: Int32, at offset: Int, upTo limit: Int) throws(RecordReadError) -> Int {
    try unsafe fill { unsafe pread(descriptor, $0.baseAddress, min($0.count, limit), off_t(offset)) }
  }

  private mutating func fill(_ call: (UnsafeMutableRawBufferPointer) -> Int) throws(RecordReadError) -> Int {
    while true {
      let count = unsafe memory.withUnsafeMutableBytes { unsafe call($0) }
      if count >= 0 { return count }
      if errno != EINTR { throw .system(path: path, call: "read", errno: errno) }
    }
  }
}
