// The members of one object that a reader asks for, found in one pass over it.
import CYYJSON

/// The members of an object that are named by the cases of `Key`. Of members with the same name the last one counts.
///
/// One pass, whatever the number of names; looking up each name by itself would be a search through the object each time.
/// Valid only inside `JSONParser.parse`'s closure, as the value it was made from.
@safe
@frozen
public struct JSONObject<Key: JSONKey> {
  @usableFromInline
  var values = unsafe InlineArray<16, UnsafeMutablePointer<yyjson_val>?>(repeating: nil)

  /// The members of `value`; none where it is no object, or not there.
  @inlinable
  @inline(__always)
  public init(_ value: JSONValue?) {
    guard let value, value.isObject else { return }
    unsafe findMembers(of: value.value, Key.table.slots, &values)
  }

  /// The member named `key`.
  @inlinable
  @inline(__always)
  public subscript(_ key: Key) -> JSONValue? {
    unsafe values[unchecked: JSONKeys<Key>.place(of: key)].map { unsafe JSONValue($0) }
  }

  /// The same; nil too where the member is `null`.
  @inlinable
  @inline(__always)
  public func present(_ key: Key) -> JSONValue? {
    guard let member = self[key], !member.isNull else { return nil }
    return member
  }
}

/// Puts the members of `object` that a table names into their places. One function for all tables: inside each reader, with
/// that one's own variables beside its own, it takes a third longer.
@usableFromInline
func findMembers(
  of object: UnsafeMutablePointer<yyjson_val>, _ slots: UnsafePointer<JSONKeySlot>,
  _ values: inout InlineArray<16, UnsafeMutablePointer<yyjson_val>?>
) {
  // An object's members follow it, each as its key and its value, behind which stands all that is in it.
  var left = unsafe object.pointee.tag &>> UInt64(YYJSON_TAG_BIT)
  var key = unsafe object + 1
  while left > 0 {
    let length = unsafe Int(truncatingIfNeeded: key.pointee.tag &>> UInt64(YYJSON_TAG_BIT))
    let member = unsafe key + 1
    let name = unsafe UnsafeRawPointer(key.pointee.uni.str.unsafelyUnwrapped)
    let place = unsafe JSONKeySlot.place(ofName: name, length, in: slots)
    if place >= 0 {
      unsafe values[unchecked: place] = unsafe member
      unsafe JSONMark.handedOut.set(on: key)
    }
    left &-= 1
    unsafe key = unsafe unsafe_yyjson_get_next(member)
  }
}
