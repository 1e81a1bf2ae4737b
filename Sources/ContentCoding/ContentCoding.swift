// The codings of bodies that can be inflated, and how a field names them.

/// How a body was compressed.
public enum ContentCoding: String, CaseIterable, Sendable {
  case gzip
  /// In zlib's wrapping (RFC 9110 §8.4.1.2), or bare, as some senders have it.
  case deflate
  case brotli = "br"
  case zstd

  /// What a message says of its body's coding.
  public enum Announced: Hashable, Sendable {
    /// None.
    case identity
    /// One that can be inflated.
    case coded(ContentCoding)
    /// Two that can be inflated, in the order in which they were applied.
    case codedTwice([ContentCoding])
    /// One that is not known, or more than two.
    case unknown

    /// Reads the values of all `Content-Encoding` fields of a message. It reads up to the third coding, and copies nothing: a
    /// value may be as long as a head, and comes from a stranger.
    public init(_ values: [String]) {
      self = .identity
      for value in values {
        var rest = value.utf8[...]
        while !rest.isEmpty {
          let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.endIndex
          let name = Self.trimmed(rest[..<end])
          rest = rest[end...].dropFirst()
          guard !name.isEmpty, !Self.isEqual(name, "identity") else { continue }
          switch (self, Self.coding(named: name)) {
          case (.identity, let coding?): self = .coded(coding)
          case (.coded(let first), let second?): self = .codedTwice([first, second])
          default: self = .unknown; return
          }
        }
      }
    }

    /// The codings that can be inflated; nil where there are none, or others.
    public var codings: [ContentCoding]? {
      switch self {
      case .coded(let coding): [coding]
      case .codedTwice(let codings): codings
      case .identity, .unknown: nil
      }
    }

    /// `x-gzip` is the same as `gzip` (RFC 9110 §8.4.1.3).
    private static func coding(named name: Substring.UTF8View) -> ContentCoding? {
      isEqual(name, "x-gzip") ? .gzip : ContentCoding.allCases.first { isEqual(name, $0.rawValue) }
    }

    private static func trimmed(_ element: Substring.UTF8View) -> Substring.UTF8View {
      let head = element.drop(while: isBlank)
      return head.lastIndex { !isBlank($0) }.map { head[...$0] } ?? head[..<head.startIndex]
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Compares without case; `name` is in lower case.
    private static func isEqual(_ element: Substring.UTF8View, _ name: String) -> Bool {
      element.elementsEqual(name.utf8) { (0x41...0x5A).contains($0) ? $0 | 0x20 == $1 : $0 == $1 }
    }
  }
}
