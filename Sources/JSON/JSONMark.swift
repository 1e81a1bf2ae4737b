// Marks on a parsed text: what its reader has read. From them follows what could not have changed the reader's result.
import CYYJSON

/// A mark on a value of a parsed text, in a bit of its tag that yyjson leaves alone.
///
/// Every accessor that hands out members or elements marks the key or the array, and every one that says more of a string than
/// that it is one marks the string: a result can only depend on what was handed out.
@usableFromInline
enum JSONMark: UInt64 {
  /// On a key: its value was handed out. On an array: its elements were.
  case handedOut = 0x20
  /// On a string: its scalars were counted.
  case counted = 0x40
  /// On a string: it was read in any other way.
  case read = 0x80

  @inlinable
  @inline(__always)
  func set(on value: UnsafeMutablePointer<yyjson_val>) { unsafe value.pointee.tag |= rawValue }

  @inline(__always)
  func isSet(on value: UnsafeMutablePointer<yyjson_val>) -> Bool { unsafe value.pointee.tag & rawValue != 0 }

  /// All of a value was read, and all that is in it.
  static func markAll(of value: UnsafeMutablePointer<yyjson_val>) {
    guard let end = unsafe unsafe_yyjson_get_next(value) else { return }
    var next = unsafe value
    while unsafe next < end {
      unsafe handedOut.set(on: next)
      unsafe read.set(on: next)
      unsafe next += 1
    }
  }
}

/// A part of a text that its reader counted only, or did not read at all.
public struct UnreadJSON: Equatable, Sendable {
  /// What stands there.
  public enum Kind: Sendable {
    /// The inside of a string whose scalars were counted and of which nothing else was read.
    case countedString
    /// The inside of a string that was not read.
    case string
    /// A number that was not read.
    case number
  }

  /// What stands there.
  public var kind: Kind
  /// Bytes from the text's start.
  public var offset: Int
}

extension JSONValue {
  /// What the reader of `text`, of which this is the root, did not read of it so far, in order: strings and numbers that are
  /// in nothing that was handed out, and strings that were counted only. How many elements or members are in something may
  /// have been read all the same.
  /// - Returns: nil where values are nested too deep to look for them.
  public func unread(of text: RawSpan) -> [UnreadJSON]? {
    var walk = unsafe UnreadWalk(next: value)
    return walk.passValue(in: text, isHandedOut: true, depth: 0) ? walk.parts : nil
  }
}

/// Walks over a text and its values side by side, for values do not tell where they stand.
@safe
private struct UnreadWalk {
  private static let mostDepth = 64

  /// Up to where the text has been passed.
  private var at = 0
  private var next: UnsafeMutablePointer<yyjson_val>
  private(set) var parts: [UnreadJSON] = []

  init(next: UnsafeMutablePointer<yyjson_val>) { unsafe self.next = unsafe next }

  /// - Returns: false where it is nested too deep.
  mutating func passValue(in text: RawSpan, isHandedOut: Bool, depth: Int) -> Bool {
    guard depth < Self.mostDepth else { return false }
    let value = unsafe next
    unsafe next += 1
    skipToToken(in: text)
    let start = at
    if unsafe yyjson_is_ctn(value) {
      at += 1
      for _ in unsafe 0..<yyjson_get_len(value) {
        let isInside: Bool
        if unsafe yyjson_is_obj(value) {
          isInside = unsafe isHandedOut && JSONMark.handedOut.isSet(on: next)
          unsafe next += 1
          skipToToken(in: text)
          passString(in: text)
        } else {
          isInside = unsafe isHandedOut && JSONMark.handedOut.isSet(on: value)
        }
        guard passValue(in: text, isHandedOut: isInside, depth: depth + 1) else { return false }
      }
    } else if unsafe yyjson_is_str(value) {
      passString(in: text)
      if !isHandedOut {
        parts.append(UnreadJSON(kind: .string, offset: start + 1))
      } else if unsafe JSONMark.counted.isSet(on: value) && !JSONMark.read.isSet(on: value) {
        parts.append(UnreadJSON(kind: .countedString, offset: start + 1))
      }
    } else {
      passWord(in: text)
      if !isHandedOut, unsafe yyjson_is_num(value) { parts.append(UnreadJSON(kind: .number, offset: start)) }
    }
    return true
  }

  /// Passes white space, and what stands between values or ends them.
  private mutating func skipToToken(in text: RawSpan) {
    while at < text.byteCount {
      switch unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self) {
      case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"): at += 1
      default: return
      }
    }
  }

  private mutating func passString(in text: RawSpan) {
    at += 1
    while at < text.byteCount {
      let byte = unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self)
      at += byte == UInt8(ascii: "\\") ? 2 : 1
      if byte == UInt8(ascii: "\"") { return }
    }
  }

  private mutating func passWord(in text: RawSpan) {
    while at < text.byteCount {
      switch unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self) {
      case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"): return
      default: at += 1
      }
    }
  }
}
