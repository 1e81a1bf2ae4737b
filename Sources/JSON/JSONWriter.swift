// Writes JSON text value by value into one buffer that is re-used. The caller writes commas and brackets.

/// A growing buffer of bytes and the methods that write JSON values into it. It keeps its memory from text to text.
///
/// What a record is written by is inlined: a record is a hundred short writes, most of them of a literal whose length the
/// compiler then knows.
@safe
@frozen
public struct JSONWriter: ~Copyable {
  @usableFromInline
  var memory: UnsafeMutablePointer<UInt8>
  @usableFromInline
  var capacity: Int
  @usableFromInline
  var written = 0
  /// The decimal written last, and where it stands: several times of one record are often the same.
  @usableFromInline
  var decimalBits: UInt64 = 0
  @usableFromInline
  var decimalPlace = 0
  /// 0: none was written.
  @usableFromInline
  var decimalLength = 0
  /// The second of the timestamp written last, and where that stands: many records are of one second.
  @usableFromInline
  var second: Int64?
  @usableFromInline
  var secondPlace = 0

  /// Bytes written.
  @inlinable
  public var count: Int { written }

  /// Makes a writer with room for `capacity` bytes; it grows by doubling.
  public init(capacity: Int = 4_096) {
    self.capacity = max(capacity, 64)
    unsafe memory = .allocate(capacity: self.capacity)
  }

  deinit { unsafe memory.deallocate() }

  /// Removes what was written, and frees memory beyond `bytes`.
  public mutating func removeAll(keeping bytes: Int = .max) {
    written = 0
    decimalLength = 0
    second = nil
    guard capacity > max(bytes, 64) else { return }
    unsafe memory.deallocate()
    capacity = max(bytes, 64)
    unsafe memory = .allocate(capacity: capacity)
  }

  /// What was written, for as long as `body` runs.
  public borrowing func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe body(RawSpan(_unsafeStart: memory, byteCount: written))
  }

  /// Makes room for `more` bytes.
  @inlinable
  @inline(__always)
  mutating func reserve(_ more: Int) { if capacity &- written < more { grow(by: more) } }

  @usableFromInline
  mutating func grow(by more: Int) {
    let wider = max(capacity * 2, written + more)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: wider)
    unsafe moved.update(from: memory, count: written)
    unsafe memory.deallocate()
    unsafe memory = unsafe moved
    capacity = wider
  }

  /// Text that is JSON as it stands: punctuation, keys, `null`.
  @inlinable
  @inline(__always)
  public mutating func raw(_ text: StaticString) {
    reserve(text.utf8CodeUnitCount)
    writeReserved(text)
  }

  /// Copies `text`, for which room must have been reserved.
  @inlinable
  @inline(__always)
  mutating func writeReserved(_ text: StaticString) {
    let length = text.utf8CodeUnitCount
    unsafe UnsafeMutableRawPointer(memory + written).copyMemory(from: text.utf8Start, byteCount: length)
    written &+= length
  }

  /// A member's name, which must need no escape, behind the object's `{` or a comma; and `null` where its value is. Any
  /// other value is then written in the place of the `null`, for which `room` is reserved.
  @inlinable
  @inline(__always)
  mutating func key(_ name: StaticString, isFirst: Bool, isNull: Bool, room: Int) {
    let length = name.utf8CodeUnitCount
    // The null is written as eight bytes with the quote and the colon: two that do not count follow it.
    reserve(length + 4 + max(room, 6))
    let start = unsafe UnsafeMutableRawPointer(memory + written)
    let opening: StaticString = isFirst ? "{\"" : ",\""
    unsafe start.copyMemory(from: opening.utf8Start, byteCount: 2)
    unsafe (start + 2).copyMemory(from: name.utf8Start, byteCount: length)
    let ending: StaticString = "\":null  "
    unsafe (start + 2 + length).copyMemory(from: ending.utf8Start, byteCount: 8)
    written &+= isNull ? length + 8 : length + 4
  }

  /// A member's name; its value is to be written next.
  @inlinable
  @inline(__always)
  public mutating func key(_ name: StaticString, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: false, room: 0)
  }

  /// A member: a string or `null`.
  /// - Parameters:
  ///   - name: text that needs no escape.
  ///   - isFirst: whether the member begins its object, so that `{` stands before it and no comma.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: String?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: 4)
    if let value { string(value) }
  }

  /// A member: a whole number or `null`.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: Int?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: Self.longestInt)
    if let value { writeReservedInt(value) }
  }

  /// A member: a decimal or `null`.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: Double?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: Self.longestDecimal)
    if let value { writeReservedDecimal(value) }
  }

  /// A member: `true`, `false` or `null`.
  @inlinable
  @inline(__always)
  public mutating func member(_ name: StaticString, _ value: Bool?, isFirst: Bool = false) {
    key(name, isFirst: isFirst, isNull: value == nil, room: 5)
    if let value { if value { writeReserved("true") } else { writeReserved("false") } }
  }

  /// `true` or `false`.
  @inlinable
  public mutating func bool(_ value: Bool) { if value { raw("true") } else { raw("false") } }

  mutating func byte(_ byte: UInt8) {
    unsafe memory[written] = byte
    written &+= 1
  }
}
