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

  /// Makes a parser.
  /// - Parameter retainedBytes: memory kept from text to text; a text that needs more (about 14 times its length)
  ///   has it from the heap until `parse` returns.
  public init(retainedBytes: Int = 64 * 1024) {
    unsafe memory = .allocate(byteCount: retainedBytes, alignment: 16)
  }

  deinit { unsafe memory.deallocate() }

  /// Parses `text` (RFC 8259, strict; UTF-8 checked) and calls `body` with its root.
  /// - Returns: what `body` returns, or nil where `text` is not one whole JSON value.
  public func parse<Result>(_ text: RawSpan, _ body: (JSONValue) -> Result) -> Result? {
    let count = text.byteCount
    let valuesSize = yyjson_read_max_memory_usage(count, YYJSON_READ_INSITU)
    guard count > 0, valuesSize > 0 else { return nil }
    // Strings are decoded in place: in a copy of ours, so that they also tell where in the text they stand.
    let copySize = (count + Int(YYJSON_PADDING_SIZE) + 15) & ~15
    if unsafe copySize + valuesSize <= memory.count {
      var pool = unsafe yyjson_alc()
      let values = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[copySize...])
      guard unsafe yyjson_alc_pool_init(&pool, values.baseAddress, values.count) else { return nil }
      return unsafe parse(text, in: memory, &pool, body)
    }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: copySize, alignment: 16)
    defer { unsafe copy.deallocate() }
    return unsafe parse(text, in: copy, nil, body)
  }

  private func parse<Result>(
    _ text: RawSpan, in copy: UnsafeMutableRawBufferPointer, _ allocator: UnsafePointer<yyjson_alc>?,
    _ body: (JSONValue) -> Result
  ) -> Result? {
    let count = text.byteCount
    guard let start = copy.baseAddress else { return nil }
    unsafe text.withUnsafeBytes { unsafe copy.copyMemory(from: $0) }
    unsafe (start + count).initializeMemory(as: UInt8.self, repeating: 0, count: Int(YYJSON_PADDING_SIZE))
    let document = unsafe yyjson_read_opts(
      start.assumingMemoryBound(to: CChar.self), count, YYJSON_READ_INSITU, allocator, nil)
    guard let document = unsafe document else { return nil }
    defer { unsafe yyjson_doc_free(document) }
    guard let root = unsafe yyjson_doc_get_root(document) else { return nil }
    return body(unsafe JSONValue(root))
  }
}
