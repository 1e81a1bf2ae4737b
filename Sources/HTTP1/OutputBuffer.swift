// Bytes that are about to be sent, appended to memory that is reused.
import Glibc
import HTTP

/// A growing run of bytes, filled and emptied for every read: to append is to copy, and nothing else.
///
/// Confined to one thread. Its state is behind a pointer: an array would be checked for uniqueness, and a stored property for
/// exclusive access, at each of the hundred appends of a short exchange.
@safe
public final class OutputBuffer {
  @unsafe
  @usableFromInline
  struct State {
    @usableFromInline var memory: UnsafeMutableRawBufferPointer
    @usableFromInline var count = 0
  }
  @usableFromInline let state: UnsafeMutablePointer<State>

  /// An empty buffer with room for `capacity` bytes.
  public init(capacity: Int = 256) {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: State(memory: .allocate(byteCount: max(capacity, 64), alignment: 16)))
  }

  deinit {
    giveBackMemory()
    unsafe state.deallocate()
  }

  /// Heads with credentials are put together here: none stays in memory that nobody owns. A plain memset before the memory is
  /// given back may be left out by the compiler.
  private func giveBackMemory() {
    if let start = unsafe state.pointee.memory.baseAddress {
      unsafe explicit_bzero(start, state.pointee.memory.count)
    }
    unsafe state.pointee.memory.deallocate()
  }

  /// Bytes in the buffer.
  @inlinable
  public var count: Int { unsafe state.pointee.count }
  /// Whether the buffer is empty.
  @inlinable
  public var isEmpty: Bool { count == 0 }

  /// Empties the buffer and keeps the memory.
  @inlinable
  public func removeAll() { unsafe state.pointee.count = 0 }

  /// Appends bytes.
  public func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    let place = unsafe room(for: bytes.count)
    unsafe place.copyMemory(from: source, byteCount: bytes.count)
  }

  /// Appends the bytes in `range` of `bytes`.
  public func append(_ bytes: [UInt8], _ range: Range<Int>) {
    unsafe bytes.withUnsafeBytes { unsafe append(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  /// Appends a text's UTF-8. The label keeps literals away, which have a faster way.
  public func append(text: String) {
    var text = text
    text.withUTF8 { unsafe append(UnsafeRawBufferPointer($0)) }
  }

  /// Appends a number in decimal digits.
  func append(decimal value: UInt64) {
    var divisor: UInt64 = 1
    while value / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(UInt8(truncatingIfNeeded: value / divisor % 10) | ASCII.zero)
      divisor /= 10
    }
  }

  /// Appends a literal.
  @inline(__always)
  public func append(_ text: StaticString) {
    unsafe append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Appends a byte.
  public func append(_ byte: UInt8) { unsafe room(for: 1).storeBytes(of: byte, as: UInt8.self) }

  /// Lends the bytes.
  @inlinable
  public func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(content.bytes)
  }

  /// A copy of the bytes.
  public var bytes: [UInt8] { unsafe Array(content) }

  @inlinable
  var content: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(start: state.pointee.memory.baseAddress, count: state.pointee.count)
  }

  /// Makes the buffer `more` bytes longer, and returns where they belong.
  @inline(__always)
  func room(for more: Int) -> UnsafeMutableRawPointer {
    let start = unsafe state.pointee.count
    if unsafe start + more > state.pointee.memory.count { grow(to: start + more) }
    unsafe state.pointee.count = start + more
    // Never nil: the memory is never empty.
    return unsafe (state.pointee.memory.baseAddress ?? UnsafeMutableRawPointer(state)) + start
  }

  private func grow(to needed: Int) {
    let larger = unsafe UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(needed, state.pointee.memory.count * 2), alignment: 16)
    unsafe larger.copyMemory(from: content)
    giveBackMemory()
    unsafe state.pointee.memory = larger
  }
}
