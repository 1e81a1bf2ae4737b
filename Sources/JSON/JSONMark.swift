// Marks on a parsed text: what its reader has read. From them follows what could not have changed the reader's result.
import CYYJSON

/// A mark on a key or a string of a parsed text, in a bit of its tag that yyjson leaves alone.
///
/// Every accessor that hands out a member marks its key, and every one that says more of a string than that it is one marks
/// the string: a result can only depend on members whose keys are marked.
@usableFromInline
enum JSONMark: UInt64 {
  /// On a key: its value was handed out.
  case asked = 0x20
  /// On a string: its scalars were counted.
  case counted = 0x40
  /// On a string: it was read in any other way.
  case read = 0x80

  @inlinable
  @inline(__always)
  func set(on value: UnsafeMutablePointer<yyjson_val>) { unsafe value.pointee.tag |= rawValue }

  func isSet(on value: UnsafeMutablePointer<yyjson_val>) -> Bool { unsafe value.pointee.tag & rawValue != 0 }

  /// All of an object was read, whatever its members are.
  static func markAll(of object: UnsafeMutablePointer<yyjson_val>) {
    var keys = unsafe yyjson_obj_iter_with(object)
    while let key = unsafe yyjson_obj_iter_next(&keys) { unsafe asked.set(on: key) }
  }
}

/// A part of a text that its reader counted only, or did not read at all.
public struct UnreadJSON: Equatable, Sendable {
  /// What stands there.
  public enum Kind: Sendable {
    /// The inside of a string whose scalars were counted and of which nothing else was read.
    case countedString
    /// The inside of a string that is a member of the outermost object and was not read.
    case string
    /// A number of the same kind, behind the key whose inside begins at `offset`.
    case number
  }

  /// What stands there.
  public var kind: Kind
  /// Bytes from the text's start.
  public var offset: Int
}

extension JSONParser {
  /// What the reader of the text that is being parsed did not read of it so far: of the members of its outermost object
  /// those that are strings or numbers, and at any depth the strings that were counted only.
  /// - Parameter root: what `parse` has handed to its closure.
  /// - Returns: in no order; empty where the text was too long for memory of the parser's own.
  public func unread(in root: JSONValue) -> [UnreadJSON] {
    var parts: [UnreadJSON] = []
    var keys = unsafe yyjson_obj_iter_with(root.value)
    while let key = unsafe yyjson_obj_iter_next(&keys), let value = unsafe yyjson_obj_iter_get_val(key) {
      guard unsafe !JSONMark.asked.isSet(on: key) else { continue }
      if unsafe yyjson_is_str(value), let offset = unsafe offset(of: value) {
        parts.append(UnreadJSON(kind: .string, offset: offset))
      } else if unsafe yyjson_is_num(value), let offset = unsafe offset(of: key) {
        parts.append(UnreadJSON(kind: .number, offset: offset))
      }
    }
    // A text's values and keys stand one behind the other, its root first.
    for index
      in unsafe 1..<max(1, yyjson_is_ctn(root.value) ? root.value.pointee.uni.ofs / MemoryLayout<yyjson_val>.stride : 1)
    {
      let value = unsafe root.value + index
      guard unsafe yyjson_is_str(value), unsafe JSONMark.counted.isSet(on: value),
        unsafe !JSONMark.read.isSet(on: value), let offset = unsafe offset(of: value)
      else { continue }
      parts.append(UnreadJSON(kind: .countedString, offset: offset))
    }
    return parts
  }

  /// Where the inside of a string begins in the text; nil where the text is not in `memory`.
  private func offset(of string: UnsafeMutablePointer<yyjson_val>) -> Int? {
    guard let start = unsafe UnsafeRawPointer(yyjson_get_str(string)), let memoryStart = unsafe memory.baseAddress
    else {
      return nil
    }
    let offset = unsafe start - UnsafeRawPointer(memoryStart)
    return unsafe 0..<memory.count ~= offset ? offset : nil
  }
}
