// Bytes about to be sent, put together in memory that is used again and again.
// It must not know what they are.

/// A growing run of bytes, filled and emptied for every read: appending is a copy and nothing else.
///
/// Confined to one thread. An array would be checked for a second owner at each append, which shows at a token a time.
@safe
public final class OutputBuffer {
  private var memory: UnsafeMutableRawBufferPointer
  /// Bytes held.
  public private(set) var count = 0

  /// An empty buffer with room for `capacity` bytes.
  public init(capacity: Int = 256) { unsafe memory = .allocate(byteCount: max(capacity, 64), alignment: 16) }

  deinit { unsafe memory.deallocate() }

  /// Whether nothing is held.
  public var isEmpty: Bool { count == 0 }

  /// Forgets what is held, and keeps the memory.
  public func removeAll() { count = 0 }

  /// Adds bytes.
  public func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    unsafe memory.baseAddress?.advanced(by: count).copyMemory(from: source, byteCount: bytes.count)
    count += bytes.count
  }

  /// Adds bytes.
  public func append(_ bytes: ArraySlice<UInt8>) { unsafe bytes.withUnsafeBytes { unsafe append($0) } }

  /// Adds a text's UTF-8.
  public func append(_ text: String) {
    var text = text
    text.withUTF8 { unsafe append(UnsafeRawBufferPointer($0)) }
  }

  /// Adds a literal.
  public func append(_ text: StaticString) {
    unsafe append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Adds a byte.
  public func append(_ byte: UInt8) {
    reserve(1)
    unsafe memory[count] = byte
    count += 1
  }

  /// Lends what is held.
  public func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(UnsafeRawBufferPointer(rebasing: memory[..<count]).bytes)
  }

  /// A copy of what is held.
  public var bytes: [UInt8] { unsafe Array(memory[..<count]) }

  private func reserve(_ more: Int) {
    guard unsafe count + more > memory.count else { return }
    let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(count + more, memory.count * 2), alignment: 16)
    unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<count]))
    unsafe memory.deallocate()
    unsafe memory = larger
  }
}
