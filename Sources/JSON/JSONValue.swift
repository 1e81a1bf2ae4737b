// A value of a parsed JSON text, read in place.
import CYYJSON
import Glibc

/// One value inside a parsed text: a borrowed pointer, valid only inside `JSONParser.parse`'s closure.
///
/// What is read of every event is inlined where it is called, in other modules too. Accessors leave marks (`JSONMark`).
@safe
@frozen
public struct JSONValue {
  @usableFromInline
  let value: UnsafeMutablePointer<yyjson_val>

  @inlinable
  @inline(__always)
  init(_ value: UnsafeMutablePointer<yyjson_val>) { unsafe self.value = unsafe value }

  /// The member named `key` where this is an object that has it (the last one, where it stands twice). Each call goes
  /// through the object: `JSONObject` finds several members at once.
  public subscript(_ key: StaticString) -> JSONValue? {
    guard isObject else { return nil }
    let name = unsafe UnsafeRawPointer(key.utf8Start).assumingMemoryBound(to: CChar.self)
    var keys = unsafe yyjson_obj_iter_with(value)
    var found: UnsafeMutablePointer<yyjson_val>?
    while let next = unsafe yyjson_obj_iter_next(&keys) {
      guard unsafe yyjson_equals_strn(next, name, key.utf8CodeUnitCount) else { continue }
      unsafe JSONMark.handedOut.set(on: next)
      unsafe found = unsafe next
    }
    // A member's key stands before it.
    return unsafe found.map { unsafe JSONValue($0 + 1) }
  }

  /// The same, of a name that is known only when the program runs.
  public func member(named key: String) -> JSONValue? {
    guard isObject else { return nil }
    var key = key
    var keys = unsafe yyjson_obj_iter_with(value)
    let found = key.withUTF8 { name -> UnsafeMutablePointer<yyjson_val>? in
      var found: UnsafeMutablePointer<yyjson_val>?
      while let next = unsafe yyjson_obj_iter_next(&keys) {
        let isNamed = unsafe JSONValue(next).equals(name)
        if isNamed { unsafe found = unsafe next }
      }
      return unsafe found
    }
    return unsafe found.map { unsafe JSONValue($0 + 1) }
  }

  /// The same, nil too where the member is `null`.
  public func present(_ key: StaticString) -> JSONValue? {
    guard let member = self[key], !member.isNull else { return nil }
    return member
  }

  /// Whether both are one value of one text.
  public func isIdentical(to other: JSONValue) -> Bool { unsafe value == other.value }

  // MARK: Its kind

  /// Whether this is `null`.
  @inlinable public var isNull: Bool { unsafe yyjson_is_null(value) }
  /// Whether this is an object.
  @inlinable public var isObject: Bool { unsafe yyjson_is_obj(value) }
  /// Whether this is an array.
  @inlinable public var isArray: Bool { unsafe yyjson_is_arr(value) }
  /// Whether this is a string.
  @inlinable public var isString: Bool { unsafe yyjson_is_str(value) }

  // MARK: Booleans and numbers

  /// The Boolean, where this is one.
  @inlinable public var bool: Bool? {
    unsafe yyjson_is_bool(value) ? unsafe yyjson_get_bool(value) : nil
  }

  /// The whole number, where this is one that an `Int` holds (1.0 is not: JSON writes it as a real).
  @inlinable public var int: Int? {
    if unsafe yyjson_is_uint(value) { return Int(exactly: unsafe yyjson_get_uint(value)) }
    return unsafe yyjson_is_sint(value) ? Int(exactly: unsafe yyjson_get_sint(value)) : nil
  }

  /// The number, where this is one.
  @inlinable public var double: Double? {
    unsafe yyjson_is_num(value) ? unsafe yyjson_get_num(value) : nil
  }

  // MARK: Strings

  /// The string's decoded UTF-8, in place and not copied, where this is a string.
  @inlinable
  public func withUTF8<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result? {
    guard isString else { return nil }
    unsafe JSONMark.read.set(on: value)
    return unsafe body(utf8)
  }

  /// A copy of the string, where this is one.
  public var string: String? { unsafe withUTF8 { unsafe String(decoding: $0, as: UTF8.self) } }

  /// The string's length in UTF-8 bytes, where this is one.
  @inlinable public var utf8Count: Int? { unsafe withUTF8 { $0.count } }

  /// Whether this is the string `other`.
  @inlinable
  @inline(__always)
  public func equals(_ other: StaticString) -> Bool {
    unsafe equals(UnsafeBufferPointer(start: other.utf8Start, count: other.utf8CodeUnitCount))
  }

  /// Whether this is the string `other`, byte for byte. The label keeps literals away, which have a faster way.
  @inlinable
  public func equals(string other: String) -> Bool {
    unsafe other.utf8.withContiguousStorageIfAvailable { unsafe equals($0) } ?? (string == other)
  }

  @inlinable
  @inline(__always)
  func equals(_ other: UnsafeBufferPointer<UInt8>) -> Bool {
    guard isString else { return false }
    unsafe JSONMark.read.set(on: value)
    guard unsafe yyjson_get_len(value) == other.count else { return false }
    guard let start = unsafe value.pointee.uni.str, let others = other.baseAddress else { return true }
    return unsafe memcmp(start, others, other.count) == 0
  }

  /// Whether this is a string that is not empty; a reader that asks no more leaves it unread (`JSONMark`).
  @inlinable public var hasText: Bool { unsafe isString && yyjson_get_len(value) > 0 }

  /// The string's length in Unicode scalars, where this is one. Add it to a sum, and test it for 0; for anything else use
  /// `utf8Count`: a reader that only counts a string leaves it unread (`JSONMark`).
  @inlinable public var scalarCount: Int? {
    guard isString else { return nil }
    unsafe JSONMark.counted.set(on: value)
    // Every byte that does not continue a scalar begins one.
    return unsafe utf8.reduce(0) { $0 &+ ($1 & 0xC0 == 0x80 ? 0 : 1) }
  }

  /// The bytes of what is a string.
  @inlinable
  var utf8: UnsafeBufferPointer<UInt8> {
    let start = unsafe UnsafeRawPointer(value.pointee.uni.str)?.assumingMemoryBound(to: UInt8.self)
    return unsafe UnsafeBufferPointer(start: start, count: yyjson_get_len(value))
  }

  // MARK: Arrays and objects

  /// Elements of an array or members of an object; nil for anything else.
  @inlinable public var count: Int? {
    unsafe yyjson_is_ctn(value) ? unsafe yyjson_get_len(value) : nil
  }

  /// The first element of an array that is not empty.
  public var firstElement: JSONValue? {
    guard let first = unsafe yyjson_arr_get_first(value) else { return nil }
    unsafe JSONMark.handedOut.set(on: value)
    return unsafe JSONValue(first)
  }

  /// Calls `body` with each element, in order, where this is an array.
  @inlinable
  @inline(__always)
  public func forEachElement(_ body: (JSONValue) -> Void) {
    guard isArray else { return }
    unsafe JSONMark.handedOut.set(on: value)
    var left = unsafe yyjson_get_len(value)
    var element = unsafe value + 1
    while left > 0 {
      unsafe body(JSONValue(element))
      left &-= 1
      unsafe element = unsafe unsafe_yyjson_get_next(element)
    }
  }

  /// How many Unicode scalars this value takes when it is written as JSON without white space; nil where memory for
  /// writing it cannot be had.
  public var compactScalarCount: Int? {
    unsafe JSONMark.markAll(of: value)
    var length = 0
    guard let written = unsafe yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &length) else { return nil }
    defer { unsafe free(written) }
    var count = 0
    for index in 0..<length where unsafe UInt8(bitPattern: written[index]) & 0xC0 != 0x80 { count += 1 }
    return count
  }
}
