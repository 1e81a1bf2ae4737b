// Members of an object looked up in the order in which they are expected to stand.
import CYYJSON

/// A cursor over an object's members: a key that stands next, or soon, is found at once; any other by going round once.
///
/// Reading n members of a text whose order is known costs one pass over it. Valid only inside `JSONParser.parse`'s
/// closure, as the value it was made from.
@safe
public struct JSONMembers {
  private var iterator: yyjson_obj_iter

  init(_ iterator: yyjson_obj_iter) { unsafe self.iterator = unsafe iterator }

  /// The member named `key`, searched from the cursor on and then from the start; the cursor moves behind it.
  /// - Returns: nil where there is none, or where it is `null`; the cursor then stays.
  public mutating func present(_ key: StaticString) -> JSONValue? {
    guard
      let member = unsafe yyjson_obj_iter_getn(
        &iterator, UnsafeRawPointer(key.utf8Start).assumingMemoryBound(to: CChar.self), key.utf8CodeUnitCount),
      !(unsafe yyjson_is_null(member))
    else { return nil }
    return unsafe JSONValue(member)
  }
}

extension JSONValue {
  /// A cursor over the members, where this is an object.
  public var members: JSONMembers? { isObject ? unsafe JSONMembers(yyjson_obj_iter_with(value)) : nil }
}
