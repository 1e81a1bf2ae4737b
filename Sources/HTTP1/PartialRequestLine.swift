// What a request that was refused had asked for, as far as it can be told: for its record only.
// It must not validate, nor tell of anything but a request line: what it looks at may be a body that was framed wrongly.
import HTTP

/// Method and path of a request whose head was refused or never whole; nil is what was not said, or not plainly.
public struct PartialRequestLine: Hashable, Sendable {
  /// The method, served here or not, if it is one that is registered: any other word could be one of a prompt.
  public let method: String?
  /// The path without its query, of a line that goes on with a protocol's version; an absolute form's authority, which may
  /// name a user, is left out.
  public let path: String?

  /// Looks at the first line of what came of a head.
  public init(_ fields: Fields) {
    let bytes = fields.bytes.drop { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }
    let line = bytes.prefix { $0 != ASCII.carriageReturn && $0 != ASCII.lineFeed }
    let words = line.split(separator: ASCII.space, maxSplits: 2, omittingEmptySubsequences: false)
    // A word is whole only where a space ends it.
    method = words.count > 1 ? Self.registered.first { words[0].elementsEqual($0.utf8) } : nil
    path = method != nil && words.count > 2 && words[2].starts(with: "HTTP/".utf8) ? Self.path(fields, words[1]) : nil
  }

  /// Those that clients may come with (IANA's HTTP Method Registry).
  private static let registered =
    Method.allCases.map(\.rawValue) + [
      "CONNECT", "COPY", "LOCK", "MKCOL", "MOVE", "PRI", "PROPFIND", "PROPPATCH", "QUERY", "REPORT", "SEARCH", "UNLOCK",
    ]

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
