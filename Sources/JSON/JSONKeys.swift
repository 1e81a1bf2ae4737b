// The names that a reader asks for of an object, and a table that finds a name among them without comparing it to each.
import CYYJSON

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
}

/// A name in a table, or one that is searched for.
@safe
public struct JSONKeySlot {
  /// Four times as many slots as names, at least: most names that nobody asked for meet an empty one.
  static let count = 64
  static let mostKeys = 16
  /// What four words hold.
  static let longestName = 32

  /// The first eight bytes; of a shorter name all of it, and zeros.
  private let first: UInt64
  /// The last eight bytes; 0 where there are fewer than eight.
  private let last: UInt64
  private let length: Int
  /// −1 where the slot is empty.
  let place: Int
  /// Bytes 8 to 15 and 16 to 23; 0 where the name has not all of them.
  private let second: UInt64
  private let third: UInt64

  init() { (first, last, length, place, second, third) = (0, 0, -1, -1, 0, 0) }

  /// A name of a table.
  init(_ name: String, place: Int) {
    precondition(name.utf8.count <= Self.longestName)
    let bytes = Array(name.utf8) + [UInt8](repeating: 0, count: 8)
    let length = name.utf8.count
    (first, last, second, third) = unsafe bytes.withUnsafeBytes { bytes in
      let start = unsafe bytes.baseAddress.unsafelyUnwrapped
      let (first, last) = unsafe Self.ends(start, length)
      return unsafe (
        first, last, length >= 16 ? Self.word(start, 8) : 0, length >= 24 ? Self.word(start, 16) : 0
      )
    }
    self.length = length
    self.place = place
  }

  @inline(__always)
  private static func word(_ name: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: name.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always)
  private static func ends(_ name: UnsafeRawPointer, _ length: Int) -> (first: UInt64, last: UInt64) {
    let first = unsafe word(name, 0)
    if length >= 8 { return (first, unsafe word(name, length &- 8)) }
    return (first & ((1 &<< (UInt64(truncatingIfNeeded: length) &* 8)) &- 1), 0)
  }

  /// The slot where a search for a name begins (Fibonacci hashing).
  @inline(__always)
  private static func home(_ first: UInt64, _ last: UInt64, _ length: Int) -> Int {
    let mixed = (first ^ (last &<< 1) ^ UInt64(truncatingIfNeeded: length)) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed &>> 58)
  }

  /// The slot where a search for this name begins.
  var home: Int { Self.home(first, last, length) }

  /// The place of the name at `name` among those in `slots`; −1 where it is none of these. At least 8 bytes must be readable
  /// at `name`: behind a key of a parsed text stand its end, a colon, a value and the object's end, and `YYJSON_PADDING_SIZE`
  /// bytes.
  @inline(__always)
  static func place(ofName name: UnsafeRawPointer, _ length: Int, in slots: UnsafePointer<JSONKeySlot>) -> Int {
    let (first, last) = unsafe ends(name, length)
    var index = home(first, last, length)
    while true {
      let slot = unsafe slots + index
      if unsafe slot.pointee.first == first && slot.pointee.last == last && slot.pointee.length == length,
        length < 17 || (unsafe slot.pointee.hasMiddle(of: name))
      {
        return unsafe slot.pointee.place
      }
      guard unsafe slot.pointee.place >= 0 else { return -1 }
      index = (index &+ 1) % count
    }
  }

  /// Whether a name of the same length and the same ends has the same bytes between them.
  @inline(__always)
  private func hasMiddle(of name: UnsafeRawPointer) -> Bool {
    unsafe second == Self.word(name, 8) && (length < 24 || third == Self.word(name, 16))
  }
}
