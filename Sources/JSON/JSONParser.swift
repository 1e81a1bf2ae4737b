// Parsing of one JSON text at a time by yyjson, in memory that is re-used from text to text.
// It must not know what the texts mean.
import CYYJSON

/// A JSON parser that owns and re-uses its memory: no allocation a text once it is warm.
///
/// Not `Sendable`: one parser a thread. Values it hands out live only inside the closure they are given to.
@safe
public final class JSONParser {
  private var memory: UnsafeMutableRawBufferPointer
  private let retainedBytes: Int

  /// Makes a parser.
  /// - Parameter retainedBytes: memory kept from text to text; a text that needs more borrows it from the heap for as
  ///   long as it is looked at.
  public init(retainedBytes: Int = 64 * 1024) {
    self.retainedBytes = retainedBytes
    unsafe memory = .allocate(byteCount: retainedBytes, alignment: 16)
  }

  deinit { unsafe memory.deallocate() }

  /// Parses `text` (RFC 8259, strict; UTF-8 checked) and gives its root to `body`.
  /// - Returns: what `body` returns, or nil where `text` is not one whole JSON value.
  public func parse<Result>(_ text: RawSpan, _ body: (JSONValue) -> Result) -> Result? {
    unsafe text.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
      let needed = yyjson_read_max_memory_usage(bytes.count, YYJSON_READ_NOFLAG)
      var allocator = unsafe yyjson_alc()
      let pooled =
        unsafe needed <= memory.count && yyjson_alc_pool_init(&allocator, memory.baseAddress, memory.count)
      // Without YYJSON_READ_INSITU yyjson copies the text and does not write to it.
      let mutable = unsafe UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: CChar.self))
      let document =
        unsafe pooled
        ? yyjson_read_opts(mutable, bytes.count, YYJSON_READ_NOFLAG, &allocator, nil)
        : yyjson_read_opts(mutable, bytes.count, YYJSON_READ_NOFLAG, nil, nil)
      guard let document = unsafe document else { return nil }
      defer { unsafe yyjson_doc_free(document) }
      guard let root = unsafe yyjson_doc_get_root(document) else { return nil }
      return body(unsafe JSONValue(root))
    }
  }
}
