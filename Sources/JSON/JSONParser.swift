// Parsing one JSON text at a time by yyjson, in memory that is re-used from text to text.
import CYYJSON

/// A JSON parser that owns and re-uses its memory: no allocation a text once it is warm.
///
/// Not `Sendable`: one parser a thread. Values are valid only inside the closure that `parse` calls, and that closure must not parse
/// with the same parser.
@safe
public final class JSONParser {
  /// At its front a copy of the text, behind it yyjson's values.
  let memory: UnsafeMutableRawBufferPointer
  /// Hands out the part of `memory` that is behind the text's copy.
  private let allocator: UnsafeMutablePointer<yyjson_alc>
  private let room: UnsafeMutablePointer<UnsafeMutableRawBufferPointer>
  /// What was allocated for the text that is parsed now: its copy and its document. None where `memory` is enough.
  @exclusivity(unchecked) @usableFromInline var large:
    (copy: UnsafeMutableRawBufferPointer, document: UnsafeMutablePointer<yyjson_doc>)?
  /// Bytes up to the end of the value that was parsed last.
  @exclusivity(unchecked) private var valueEnd = 0

  /// Makes a parser.
  /// - Parameter retainedBytes: memory kept from text to text; a text that needs more (about 14 times its length)
  ///   has it from the heap until `parse` returns.
  public init(retainedBytes: Int = 64 * 1024) {
    unsafe memory = .allocate(byteCount: retainedBytes, alignment: 16)
    unsafe room = .allocate(capacity: 1)
    unsafe room.initialize(to: memory)
    unsafe allocator = .allocate(capacity: 1)
    unsafe allocator.initialize(to: Self.allocator(of: room))
  }

  deinit {
    unsafe allocator.deallocate()
    unsafe room.deallocate()
    unsafe memory.deallocate()
  }

  /// yyjson asks for memory once a text, and for more of it where its guess was too low: it gets all there is. Its own pool
  /// of one block costs more than a short text's strings.
  private static func allocator(of room: UnsafeMutablePointer<UnsafeMutableRawBufferPointer>) -> yyjson_alc {
    unsafe yyjson_alc(
      malloc: { room, size in unsafe JSONParser.start(of: room, size) },
      realloc: { room, _, _, size in unsafe JSONParser.start(of: room, size) },
      free: { _, _ in }, ctx: UnsafeMutableRawPointer(room))
  }

  private static func start(of room: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
    guard let room = unsafe room?.load(as: UnsafeMutableRawBufferPointer.self), size <= room.count else {
      return nil
    }
    return room.baseAddress
  }

  /// Parses `text` (RFC 8259, strict; UTF-8 checked) and calls `body` with its root.
  ///
  /// Inlined, because what is generic and is not made for its type costs a search for that type each time.
  /// - Parameter isLenient: whether a text that is not JSON only for its Unicode or its numbers is read all the same: lone
  ///   surrogates, bytes that are no UTF-8, NaN and infinities. It costs nothing where the text is JSON.
  /// - Returns: what `body` returns, or nil where `text` is not one whole JSON value.
  @inlinable
  @inline(__always)
  public func parse<Result>(_ text: RawSpan, isLenient: Bool = false, _ body: (JSONValue) -> Result) -> Result? {
    guard let root = begin(text, isLenient: isLenient) else { return nil }
    defer { end() }
    return body(root)
  }

  /// Parses the JSON value that `text` begins with, leniently, whatever stands behind it.
  /// - Parameter body: called with its root and the number of bytes up to its end.
  public func parseFirst<Result>(_ text: RawSpan, _ body: (JSONValue, Int) -> Result) -> Result? {
    let root = read(text, strict | YYJSON_READ_STOP_WHEN_DONE) ?? read(text, lenient | YYJSON_READ_STOP_WHEN_DONE)
    guard let root else { return nil }
    defer { end() }
    return body(root, unsafe valueEnd)
  }

  private var strict: yyjson_read_flag { YYJSON_READ_INSITU }
  private var lenient: yyjson_read_flag {
    YYJSON_READ_INSITU | YYJSON_READ_ALLOW_INVALID_UNICODE | YYJSON_READ_ALLOW_INF_AND_NAN
  }

  /// Parses a text whose values are used until `end`.
  @usableFromInline
  func begin(_ text: RawSpan, isLenient: Bool) -> JSONValue? {
    read(text, strict) ?? (isLenient ? read(text, lenient) : nil)
  }

  /// The values of the text are used no more.
  @usableFromInline
  @inline(__always)
  func end() { if unsafe large != nil { freeLarge() } }

  @usableFromInline
  func freeLarge() {
    guard let (copy, document) = unsafe large else { return }
    unsafe yyjson_doc_free(document)
    unsafe copy.deallocate()
    unsafe large = nil
  }

  private func read(_ text: RawSpan, _ flags: yyjson_read_flag) -> JSONValue? {
    let count = text.byteCount
    let valuesSize = yyjson_read_max_memory_usage(count, flags)
    guard count > 0, valuesSize > 0 else { return nil }
    // Strings are decoded in place: in a copy of ours, so that they also tell where in the text they stand.
    let copySize = (count + Int(YYJSON_PADDING_SIZE) + 15) & ~15
    if unsafe copySize + valuesSize <= memory.count {
      unsafe room.pointee = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[copySize...])
      guard let document = unsafe read(text, flags, in: memory, allocator) else { return nil }
      return unsafe root(of: document)
    }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: copySize, alignment: 16)
    guard let document = unsafe read(text, flags, in: copy, nil) else {
      unsafe copy.deallocate()
      return nil
    }
    unsafe large = unsafe (copy, document)
    return unsafe root(of: document)
  }

  private func read(
    _ text: RawSpan, _ flags: yyjson_read_flag, in copy: UnsafeMutableRawBufferPointer,
    _ allocator: UnsafePointer<yyjson_alc>?
  ) -> UnsafeMutablePointer<yyjson_doc>? {
    let count = text.byteCount
    guard let start = copy.baseAddress else { return nil }
    unsafe text.withUnsafeBytes { unsafe copy.copyMemory(from: $0) }
    unsafe (start + count).initializeMemory(as: UInt8.self, repeating: 0, count: Int(YYJSON_PADDING_SIZE))
    if flags & YYJSON_READ_ALLOW_INVALID_UNICODE != 0 {
      unsafe LoneSurrogates.replace(in: UnsafeMutableRawBufferPointer(start: start, count: count))
    }
    return unsafe yyjson_read_opts(start.assumingMemoryBound(to: CChar.self), count, flags, allocator, nil)
  }

  private func root(of document: UnsafeMutablePointer<yyjson_doc>) -> JSONValue? {
    unsafe valueEnd = unsafe yyjson_doc_get_read_size(document)
    return unsafe yyjson_doc_get_root(document).map { unsafe JSONValue($0) }
  }
}
