// Blocks of bytes into lines. Only a line that crosses from one block into the next is copied.
import Glibc

/// Splits at newlines, with a bound on the memory that a line without an end can use.
struct LineSplitter: Sendable {
  /// The longest line passed on, in bytes; longer ones are skipped and counted.
  let maximumLineBytes: Int
  /// Lines skipped because of their length.
  private(set) var overlongLines = 0
  private var pending: [UInt8] = []
  private var isOverlong = false

  /// - Parameter maximumLineBytes: 64 MiB holds a timeline of some four million tokens.
  init(maximumLineBytes: Int = 64 << 20) { self.maximumLineBytes = maximumLineBytes }

  /// Whether a line has begun whose newline has not come.
  var hasPartialLine: Bool { !pending.isEmpty || isOverlong }

  /// Adds the next block and calls `body` with each line it ends, without the newline; empty lines are left out.
  mutating func push(_ block: RawSpan, _ body: (RawSpan) -> Void) {
    var start = 0
    while let newline = block.newline(from: start) {
      let piece = block.extracting(start..<newline)
      start = newline + 1
      if hasPartialLine {
        append(piece)
        endLine(body)
      } else if !piece.isEmpty {
        body(piece)
      }
    }
    append(block.extracting(start..<block.byteCount))
  }

  /// Ends the input: passes on what follows the last newline, if anything does.
  mutating func finish(_ body: (RawSpan) -> Void) {
    if hasPartialLine { endLine(body) }
  }

  /// Drops the partial line.
  /// - Returns: whether there was one.
  mutating func discardPartialLine() -> Bool {
    defer { reset() }
    return hasPartialLine
  }

  private mutating func append(_ piece: RawSpan) {
    guard !isOverlong else { return }
    guard pending.count + piece.byteCount <= maximumLineBytes else {
      isOverlong = true
      pending = []
      return
    }
    unsafe piece.withUnsafeBytes { bytes in unsafe pending.append(contentsOf: bytes) }
  }

  private mutating func endLine(_ body: (RawSpan) -> Void) {
    if isOverlong { overlongLines += 1 } else { body(unsafe pending.span.bytes) }
    reset()
  }

  private mutating func reset() {
    pending.removeAll(keepingCapacity: true)
    isOverlong = false
  }
}

extension RawSpan {
  /// The offset of the first newline at or behind `start`.
  func newline(from start: Int) -> Int? {
    unsafe withUnsafeBytes { bytes in
      guard start < bytes.count, let base = bytes.baseAddress,
        let found = unsafe memchr(base + start, 0x0A, bytes.count - start)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - base
    }
  }

  /// The offset of the newline that is number `count` from the end (1 is the last one). Where there are fewer, nil, and
  /// `count` is reduced by as many.
  func newline(numberFromTheEnd count: inout Int) -> Int? {
    for offset in stride(from: byteCount - 1, through: 0, by: -1) {
      guard unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) == 0x0A else { continue }
      count -= 1
      if count == 0 { return offset }
    }
    return nil
  }
}
