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
    /// One that is not known, or several on top of each other.
    case unknown

    /// Reads the values of all `Content-Encoding` fields of a message.
    public init(_ values: [String]) {
      let names = values.flatMap { $0.split(separator: ",") }
        .map { String($0.filter { $0 != " " && $0 != "\t" }).lowercased() }
        .filter { !$0.isEmpty && $0 != "identity" }
      guard let name = names.first else { self = .identity; return }
      // x-gzip is the same (RFC 9110 §8.4.1.3).
      let coding = ContentCoding(rawValue: name == "x-gzip" ? "gzip" : name)
      self = names.count == 1 ? coding.map { .coded($0) } ?? .unknown : .unknown
    }
  }
}
