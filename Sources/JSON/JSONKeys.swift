// The names that a reader asks for of an object, and a table that finds a name among them without comparing it to each.
import CYYJSON
import Glibc

/// The members that somebody reads of one kind of object: an enum whose raw values are their names.
public protocol JSONKey: CaseIterable, RawRepresentable, Sendable where RawValue == String {
  /// The table of these names: a `static let`, `JSONKeys()`.
  static var table: JSONKeys<Self> { get }
}

/// A table of at most `JSONKeySlot.mostKeys` names. Make each once, as a `static let`: its memory is never freed.
@safe
@frozen
public struct JSONKeys<Key: JSONKey>: @unchecked Sendable {
  /// Open addressing: a name stands in the slot of its hash, or in the next one that was empty.
  @usableFromInline
  let slots: UnsafePointer<JSONKeySlot>

  /// Makes the table of all cases of `Key`.
  public init() {
    precondition(Key.allCases.count <= JSONKeySlot.mostKeys && MemoryLayout<Key>.size <= 1)
    let slots = UnsafeMutablePointer<JSONKeySlot>.allocate(capacity: JSONKeySlot.count)
    unsafe slots.initialize(repeating: JSONKeySlot(), count: JSONKeySlot.count)
    for (place, key) in Key.allCases.enumerated() {
      // What lets a case be found by its tag, without a search.
      precondition(Self.place(of: key) == place)
      let slot = JSONKeySlot(key.rawValue, place: place)
      var index = slot.home
      while unsafe slots[index].place >= 0 { index = (index + 1) % JSONKeySlot.count }
      unsafe slots[index] = slot
    }
    unsafe self.slots = unsafe UnsafePointer(slots)
  }

  /// The place of a case among all of them: an enum without payload is stored as that number (`init` checks it).
  @inlinable
  @inline(__always)
  static func place(of key: Key) -> Int { unsafe withUnsafeBytes(of: key) { unsafe $0.isEmpty ? 0 : Int($0[0]) } }

  /// The place of the name at `name`; −1 where it is none of these. At least 8 bytes must be readable at `name`: behind a
  /// key of a parsed text stand its end, a colon, a value and the object's end, and `YYJSON_PADDING_SIZE` bytes.
  @inlinable
  @inline(__always)
  func place(ofName name: UnsafeRawPointer, _ length: Int) -> Int {
    let wanted = unsafe JSONKeySlot(name, length)
    var index = wanted.home
    while true {
      let slot = unsafe slots + index
      if unsafe slot.pointee.isSame(as: wanted) { return unsafe slot.pointee.place }
      guard unsafe slot.pointee.place >= 0 else { return -1 }
      index = (index &+ 1) % JSONKeySlot.count
    }
  }
}

/// A name in a table, or one that is searched for.
@usableFromInline
@safe
@frozen
struct JSONKeySlot {
  /// Four times as many slots as names, at least: most names that nobody asked for meet an empty one.
  @usableFromInline static var count: Int { @inlinable @inline(__always) get { 64 } }
  @usableFromInline static var mostKeys: Int { @inlinable @inline(__always) get { 16 } }

  /// The first eight bytes; of a shorter name all of it, and zeros.
  @usableFromInline let first: UInt64
  /// The last eight bytes; 0 where there are fewer than eight.
  @usableFromInline let last: UInt64
  @usableFromInline let name: UnsafeRawPointer?
  @usableFromInline let length: Int
  /// −1 where the slot is empty.
  @usableFromInline let place: Int

  init() {
    (first, last, length, place) = (0, 0, -1, -1)
    unsafe name = nil
  }

  /// A name that is searched for.
  @inlinable
  @inline(__always)
  init(_ name: UnsafeRawPointer, _ length: Int, place: Int = 0) {
    let word = unsafe UInt64(littleEndian: name.loadUnaligned(as: UInt64.self))
    if length >= 8 {
      first = word
      last = unsafe name.loadUnaligned(fromByteOffset: length &- 8, as: UInt64.self)
    } else {
      first = word & ((1 &<< (UInt64(truncatingIfNeeded: length) &* 8)) &- 1)
      last = 0
    }
    unsafe self.name = unsafe name
    self.length = length
    self.place = place
  }

  /// A name of a table, in memory that is never freed.
  init(_ name: String, place: Int) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: name.utf8.count + 8, alignment: 8)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe bytes.copyBytes(from: name.utf8)
    unsafe self.init(UnsafeRawPointer(bytes.baseAddress.unsafelyUnwrapped), name.utf8.count, place: place)
  }

  /// The slot where a search for this name begins (Fibonacci hashing).
  @inlinable
  @inline(__always)
  var home: Int {
    let mixed = (first ^ (last &<< 1) ^ UInt64(truncatingIfNeeded: length)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed &>> 58)
  }

  /// Whether two names are one.
  @inlinable
  @inline(__always)
  func isSame(as other: JSONKeySlot) -> Bool {
    guard first == other.first, last == other.last, length == other.length else { return false }
    // First and last eight bytes are all there is.
    guard length > 16, let name = unsafe name, let others = unsafe other.name else { return true }
    return unsafe memcmp(name, others, length) == 0
  }
}
