// What a response's head, or for want of a Content-Type its first bytes, say about its body.

/// What the final head of a response announces: a value that may be kept for heads that are alike.
public struct AnnouncedBody: Sendable {
  /// How it is to be read; nil where there is none.
  let shape: BodyShape?
  /// Why it is not decoded: a content coding other than identity.
  let problem: String?

  /// What a head with these fields announces.
  ///
  /// The request's `stream` is never believed: an error before the stream comes as plain JSON. A body in another
  /// content coding than identity is not decoded.
  public init(status: Int, contentType: String?, contentEncoding: String?) {
    guard status >= 200, status != 204, status != 304 else {
      (shape, problem) = (nil, nil)
      return
    }
    shape = BodyShape(contentType: contentType)
    problem = Self.coding(contentEncoding).map { "\($0): timing only" }
  }

  /// A content coding other than identity, in words that hold no more than a known name.
  private static func coding(_ contentEncoding: String?) -> String? {
    guard let contentEncoding else { return nil }
    let name = contentEncoding.lowercased().filter { $0 != " " && $0 != "\t" }
    switch name {
    case "", "identity": return nil
    case "gzip", "br", "deflate", "zstd", "x-gzip", "compress": return "content-encoding \(name)"
    default: return "unknown content-encoding"
    }
  }
}

/// How a body is to be read.
enum BodyShape: Hashable {
  case stream(Framing)
  /// One JSON text.
  case body
  /// The type does not tell: its first bytes may.
  case unknown
  /// Nothing that carries tokens.
  case other

  /// By Content-Type, parameters aside.
  init(contentType: String?) {
    guard let contentType else {
      self = .unknown
      return
    }
    // As nearly every server writes it: folding case costs more than the rest of a short response's decoding.
    if contentType == "text/event-stream" || contentType == "text/event-stream; charset=utf-8" {
      self = .stream(.serverSentEvents)
      return
    }
    if contentType == "application/json" {
      self = .body
      return
    }
    switch contentType.prefix(while: { $0 != ";" }).lowercased().filter({ $0 != " " && $0 != "\t" }) {
    case "text/event-stream": self = .stream(.serverSentEvents)
    case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
      "application/stream+json":
      self = .stream(.newlineDelimitedJSON)
    case "", "text/plain", "application/octet-stream": self = .unknown
    case let type where type == "application/json" || type.hasSuffix("+json"): self = .body
    default: self = .other
    }
  }

  /// By the first bytes of a body.
  /// - Returns: nil where more of them are needed.
  init?(firstBytes bytes: RawSpan, framing: Framing) {
    var start = bytes.starts(with: "\u{FEFF}") ? 3 : 0
    if start == 0, bytes.byteCount < 3, bytes.isPrefix(of: "\u{FEFF}") { return nil }
    while start < bytes.byteCount, bytes[start].isJSONSpace { start += 1 }
    let rest = bytes.extracting(start..<bytes.byteCount)
    guard !rest.isEmpty else { return nil }
    if rest[0] == UInt8(ascii: "{") {
      self = framing == .newlineDelimitedJSON ? .stream(framing) : .body
      return
    }
    for field: StaticString in ["data:", "event:", "id:", "retry:", ":"] {
      if rest.starts(with: field) {
        self = .stream(.serverSentEvents)
        return
      }
      if rest.isPrefix(of: field) { return nil }
    }
    self = .other
  }
}

extension RawSpan {
  /// Whether `word` begins with these bytes.
  fileprivate func isPrefix(of word: StaticString) -> Bool {
    guard byteCount <= word.utf8CodeUnitCount else { return false }
    for offset in 0..<byteCount where unsafe self[offset] != word.utf8Start[offset] { return false }
    return true
  }
}
