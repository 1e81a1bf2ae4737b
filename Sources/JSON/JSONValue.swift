// A value of a parsed JSON text, looked at in place.
// It must not outlive the closure that JSONParser gave it to.
import CYYJSON

#if canImport(Glibc)
  import Glibc
#endif

/// One value inside a parsed text: a borrowed pointer, valid only inside `JSONParser.parse`'s closure.
@safe
public struct JSONValue {
  let value: UnsafeMutablePointer<yyjson_val>
  /// The first byte of the parser's copy of the text.
  let text: UnsafeRawPointer

  init(_ value: UnsafeMutablePointer<yyjson_val>, in text: UnsafeRawPointer) {
    unsafe self.value = unsafe value
    unsafe self.text = unsafe text
  }

  /// The member named `key` where this is an object that has it (the first one, where it stands twice).
  public subscript(_ key: StaticString) -> JSONValue? {
    guard
      let member = unsafe yyjson_obj_getn(
        value, UnsafeRawPointer(key.utf8Start).assumingMemoryBound(to: CChar.self), key.utf8CodeUnitCount)
    else { return nil }
    return unsafe JSONValue(member, in: text)
  }

  /// The same, nil too where the member is `null`.
  public func present(_ key: StaticString) -> JSONValue? {
    guard let member = self[key], !member.isNull else { return nil }
    return member
  }

  /// Whether this is `null`.
  public var isNull: Bool { unsafe yyjson_is_null(value) }
  /// Whether this is an object.
  public var isObject: Bool { unsafe yyjson_is_obj(value) }
  /// Whether this is an array.
  public var isArray: Bool { unsafe yyjson_is_arr(value) }
  /// Whether this is a string.
  public var isString: Bool { unsafe yyjson_is_str(value) }

  /// The Boolean, where this is one.
  public var bool: Bool? { unsafe yyjson_is_bool(value) ? unsafe yyjson_get_bool(value) : nil }

  /// The whole number, where this is one that an `Int` holds (1.0 is not: JSON writes it as a real).
  public var int: Int? {
    if unsafe yyjson_is_uint(value) { return Int(exactly: unsafe yyjson_get_uint(value)) }
    return unsafe yyjson_is_sint(value) ? Int(exactly: unsafe yyjson_get_sint(value)) : nil
  }

  /// The number, where this is one.
  public var double: Double? { unsafe yyjson_is_num(value) ? unsafe yyjson_get_num(value) : nil }

  /// A copy of the string, where this is one.
  public var string: String? {
    unsafe withUTF8 { utf8 in unsafe String(decoding: utf8, as: UTF8.self) }
  }

  /// The string's length in UTF-8 bytes, where this is one.
  public var utf8Count: Int? { unsafe yyjson_is_str(value) ? unsafe yyjson_get_len(value) : nil }

  /// The string's length in Unicode scalars, where this is one.
  public var scalarCount: Int? {
    unsafe withUTF8 { utf8 in unsafe utf8.reduce(0) { $0 &+ ($1 & 0xC0 == 0x80 ? 0 : 1) } }
  }

  /// Where in the text this string's first byte stands (the one after its opening quote), in bytes from the text's
  /// start; nil for anything but a string.
  public var stringOffset: Int? {
    guard unsafe yyjson_is_str(value), let start = unsafe yyjson_get_str(value) else { return nil }
    return unsafe UnsafeRawPointer(start) - text
  }

  /// The string's decoded UTF-8, looked at in place and not copied, where this is a string.
  public func withUTF8<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result? {
    guard unsafe yyjson_is_str(value), let start = unsafe yyjson_get_str(value) else { return nil }
    return unsafe body(
      UnsafeBufferPointer(
        start: UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self), count: yyjson_get_len(value)))
  }

  /// Whether this is the string `other`.
  public func equals(_ other: StaticString) -> Bool {
    unsafe yyjson_equals_strn(
      value, UnsafeRawPointer(other.utf8Start).assumingMemoryBound(to: CChar.self), other.utf8CodeUnitCount)
  }

  /// Elements of an array or members of an object; nil for anything else.
  public var count: Int? { unsafe yyjson_is_ctn(value) ? unsafe yyjson_get_len(value) : nil }

  /// Calls `body` with each element, in order, where this is an array.
  public func forEachElement(_ body: (JSONValue) -> Void) {
    guard unsafe yyjson_is_arr(value) else { return }
    var iterator = unsafe yyjson_arr_iter()
    guard unsafe yyjson_arr_iter_init(value, &iterator) else { return }
    while let element = unsafe yyjson_arr_iter_next(&iterator) { unsafe body(JSONValue(element, in: text)) }
  }

  /// Calls `body` with each member's key and value, in order, keys that stand twice included, where this is an object.
  public func forEachMember(_ body: (_ key: JSONValue, _ value: JSONValue) -> Void) {
    guard unsafe yyjson_is_obj(value) else { return }
    var iterator = unsafe yyjson_obj_iter()
    guard unsafe yyjson_obj_iter_init(value, &iterator) else { return }
    while let key = unsafe yyjson_obj_iter_next(&iterator), let member = unsafe yyjson_obj_iter_get_val(key) {
      unsafe body(JSONValue(key, in: text), JSONValue(member, in: text))
    }
  }

  /// How many Unicode scalars this value takes when it is written as JSON without white space; nil where memory for
  /// writing it cannot be had.
  public var compactScalarCount: Int? {
    var length = 0
    guard let written = unsafe yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &length) else { return nil }
    defer { unsafe free(written) }
    var count = 0
    for index in 0..<length where unsafe UInt8(bitPattern: written[index]) & 0xC0 != 0x80 { count += 1 }
    return count
  }
}
