// What a refused request had asked for, as far as it is known: for its record only.
// It must show nothing but a request line: the bytes may be those of a body that was framed wrongly.
import HTTP

/// Method and path of a request whose head was refused or never complete; nil where they are unknown.
public struct PartialRequestLine: Hashable, Sendable {
  /// The method, if it is a registered one: any other word could be part of a prompt.
  public let method: String?
  /// The path without its query, if a protocol's version follows it. The authority of an absolute form is omitted, for it may
  /// contain a user name.
  public let path: String?

  /// From the first line of what was received of a head.
  public init(_ fields: Fields) {
    let bytes = fields.bytes.drop { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }
    let line = bytes.prefix { $0 != ASCII.carriageReturn && $0 != ASCII.lineFeed }
    let words = line.split(separator: ASCII.space, maxSplits: 2, omittingEmptySubsequences: false)
    // A word is complete only if a space follows it.
    method = words.count > 1 ? Self.registered.first { words[0].elementsEqual($0.utf8) } : nil
    path = method != nil && words.count > 2 && words[2].starts(with: "HTTP/".utf8) ? Self.path(fields, words[1]) : nil
  }

  /// Methods that clients may use (IANA's HTTP Method Registry).
  private static let registered =
    Method.allCases.map(\.rawValue) + ["CONNECT", "PRI"]

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
