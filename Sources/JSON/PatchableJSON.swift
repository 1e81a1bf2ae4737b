// A parsed JSON text that is kept, and whose numbers may be filled in anew.
// It must not know what the text means, nor change anything in it but numbers.
import CYYJSON

/// A parsed text for others that are like it but for their numbers: those are filled in, and nothing is parsed.
///
/// Not `Sendable`. The values that it hands out live as long as it does.
@safe
public final class PatchableJSON {
  private let text: UnsafeMutableRawPointer
  private let document: UnsafeMutablePointer<yyjson_doc>
  /// Every number of the text, in the order in which they stand there.
  public let numbers: [Number]

  /// One number of a form; valid as long as the form lives.
  @safe
  public struct Number {
    private let value: UnsafeMutablePointer<yyjson_val>

    fileprivate init(_ value: UnsafeMutablePointer<yyjson_val>) { unsafe self.value = unsafe value }

    /// Puts another number in its place.
    public func patch(_ number: UInt64) { _ = unsafe yyjson_set_uint(value, number) }
  }

  /// Parses `text` (RFC 8259, strict; UTF-8 checked), and keeps it in memory of its own.
  /// - Returns: nil where `text` is not one whole JSON value.
  public init?(_ text: RawSpan) {
    let count = text.byteCount
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count + Int(YYJSON_PADDING_SIZE), alignment: 16)
    unsafe copy.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe text.withUnsafeBytes { unsafe copy.copyMemory(from: $0) }
    guard let start = copy.baseAddress,
      let document = unsafe yyjson_read_opts(
        start.assumingMemoryBound(to: CChar.self), count, YYJSON_READ_INSITU, nil, nil),
      let root = unsafe yyjson_doc_get_root(document)
    else {
      unsafe copy.deallocate()
      return nil
    }
    unsafe self.text = unsafe start
    unsafe self.document = unsafe document
    // A document's values and keys stand one behind the other, its root first. Going down into them would take a stack as
    // deep as whoever wrote the text likes.
    var numbers: [Number] = []
    for index in unsafe 0..<yyjson_doc_get_val_count(document) where unsafe yyjson_is_num(root + index) {
      unsafe numbers.append(Number(root + index))
    }
    self.numbers = numbers
  }

  deinit {
    unsafe yyjson_doc_free(document)
    unsafe text.deallocate()
  }

  /// The text's value, with the numbers that were filled in last.
  public var root: JSONValue { unsafe JSONValue(yyjson_doc_get_root(document), in: UnsafeRawPointer(text)) }
}
