// Members of an object looked up in the order in which they are expected to stand, or by keys of which few are there.
// It must not outlive the closure that JSONParser gave its object to.
import CYYJSON

/// A cursor over an object's members: a key that stands next, or soon, is found at once; any other by going round once.
///
/// Reading n members of a text whose order is known costs one pass over it. Valid only inside `JSONParser.parse`'s
/// closure, as the value it was made from.
@safe
public struct JSONMembers {
  private var iterator: yyjson_obj_iter

  private let text: UnsafeRawPointer

  init(_ iterator: yyjson_obj_iter, in text: UnsafeRawPointer) {
    unsafe self.iterator = unsafe iterator
    unsafe self.text = unsafe text
  }

  /// The member named `key`, searched from the cursor on and then from the start; the cursor moves behind it.
  /// - Returns: nil where there is none, or where it is `null`; the cursor then stays.
  public mutating func present(_ key: StaticString) -> JSONValue? {
    guard
      let member = unsafe yyjson_obj_iter_getn(
        &iterator, UnsafeRawPointer(key.utf8Start).assumingMemoryBound(to: CChar.self), key.utf8CodeUnitCount),
      !(unsafe yyjson_is_null(member))
    else { return nil }
    return unsafe JSONValue(member, in: text)
  }
}

/// Members of an object that has few of the keys that are looked for: a key of a length that none of its keys has is
/// known not to be there.
///
/// Valid only inside `JSONParser.parse`'s closure, as the value it was made from.
@safe
public struct SparseMembers {
  @usableFromInline
  let object: JSONValue
  /// One bit for each length that a key has, modulo 64.
  @usableFromInline
  let lengths: UInt64

  /// The members of `object`; none where it is none.
  public init(_ object: JSONValue) {
    self.object = object
    var lengths: UInt64 = 0
    var iterator = unsafe yyjson_obj_iter_with(object.value)
    while let key = unsafe yyjson_obj_iter_next(&iterator) { unsafe lengths |= 1 << UInt64(yyjson_get_len(key) & 63) }
    self.lengths = lengths
  }

  /// The member named `key` (the first one, where it stands twice).
  @inlinable
  @inline(__always)
  public subscript(_ key: StaticString) -> JSONValue? {
    lengths & 1 << UInt64(key.utf8CodeUnitCount & 63) == 0 ? nil : object[key]
  }
}

extension JSONValue {
  /// A cursor over the members, where this is an object.
  public var members: JSONMembers? {
    isObject ? unsafe JSONMembers(yyjson_obj_iter_with(value), in: text) : nil
  }
}
