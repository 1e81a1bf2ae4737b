// What a request that was refused had asked for, as far as it can be told: for its record only.
// It must not judge, and nothing that it finds is ever passed on.

/// Method and path of a request whose head was refused or never whole; nil is what was not said, or not plainly.
public struct RequestGlance: Hashable, Sendable {
  /// The method's token, of at most 32 bytes, served here or not.
  public let method: String?
  /// The path without its query; an absolute form's authority, which may name a user, is left out.
  public let path: String?

  /// Looks at the first line of what came of a head.
  public init(_ fields: Fields) {
    let bytes = fields.bytes.drop { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }
    let line = bytes.prefix { $0 != ASCII.carriageReturn && $0 != ASCII.lineFeed }
    let words = line.split(separator: ASCII.space, maxSplits: 2, omittingEmptySubsequences: false)
    // A word is whole only where a space ends it.
    guard words.count > 1, let first = words.first, Self.isMethod(first) else {
      (method, path) = (nil, nil)
      return
    }
    method = String(decoding: first, as: UTF8.self)
    path = words.count > 2 ? Self.path(fields, words[1]) : nil
  }

  private static func isMethod(_ word: ArraySlice<UInt8>) -> Bool {
    (1...32).contains(word.count)
      && word.allSatisfy { byte in
        let letter = byte | 0x20
        return letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z") || ASCII.isDigit(byte)
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      }
  }

  private static func path(_ fields: Fields, _ target: ArraySlice<UInt8>) -> String? {
    var path = target
    if target.count > 7, fields.matches(target.startIndex..<target.startIndex + 7, "http://") {
      path = target.dropFirst(7).drop { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
    }
    path = path.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    guard path.first == UInt8(ascii: "/") || path.elementsEqual("*".utf8), path.allSatisfy({ $0 > 0x20 && $0 != 0x7F })
    else { return nil }
    return String(decoding: path, as: UTF8.self)
  }
}
