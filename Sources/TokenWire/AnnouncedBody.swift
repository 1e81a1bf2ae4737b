// What a response's head and its first bytes say about its body: the first bytes decide, for labels are often wrong.
import ContentCoding

/// What the final head of a response announces: a value that may be kept for heads that are alike.
public struct AnnouncedBody: Sendable {
  /// What it is called; nil where there is none.
  let label: BodyLabel?
  /// Why it is not decoded: a content coding that is not known.
  let problem: String?
  /// Its content coding. The decoder reads what it stands for, not its own bytes.
  public let coding: ContentCoding.Announced
  /// The names of its codings, as a record has them; nil without any. A name that is not known is `other`.
  public let encoding: String?

  /// What a head with these fields announces.
  ///
  /// The request's `stream` is never believed: an error before the stream comes as plain JSON.
  /// - Parameter contentEncoding: the values of all fields of that name.
  public init(status: Int, contentType: String?, contentEncoding: [String]) {
    coding = ContentCoding.Announced(contentEncoding)
    encoding = coding == .identity ? nil : Self.names(contentEncoding)
    guard status >= 200, status != 204, status != 304 else {
      (label, problem) = (nil, nil)
      return
    }
    label = BodyLabel(contentType: contentType)
    problem = coding == .unknown ? "content-encoding \(encoding ?? "other"): timing only" : nil
  }

  private static func names(_ values: [String]) -> String {
    var names: [String] = []
    for part in values.prefix(5).flatMap({ $0.split(separator: ",", maxSplits: 8) }) {
      let name = String(part.filter { $0 != " " && $0 != "\t" }).lowercased()
      if name.isEmpty || name == "identity" { continue }
      names.append(name == "x-gzip" ? "gzip" : known.contains(name) ? name : "other")
    }
    return names.count > 4 ? "other" : names.joined(separator: ", ")
  }

  private static let known: Set = ["gzip", "deflate", "br", "zstd", "compress", "dcb", "dcz"]
}

/// What a Content-Type calls a body, parameters aside.
enum BodyLabel: Hashable {
  case eventStream
  case jsonLines
  case json
  /// It does not tell.
  case unknown
  /// Nothing that carries tokens, by its name.
  case other

  init(contentType: String?) {
    guard let contentType else {
      self = .unknown
      return
    }
    // As nearly every server writes it: folding case costs more than the rest of a short response's decoding.
    if contentType == "text/event-stream" || contentType == "text/event-stream; charset=utf-8" {
      self = .eventStream
      return
    }
    if contentType == "application/json" {
      self = .json
      return
    }
    switch contentType.prefix(while: { $0 != ";" }).lowercased().filter({ $0 != " " && $0 != "\t" }) {
    case "text/event-stream": self = .eventStream
    case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
      "application/stream+json":
      self = .jsonLines
    case "", "text/plain", "application/octet-stream": self = .unknown
    case let type where type == "application/json" || type.hasSuffix("+json"): self = .json
    default: self = .other
    }
  }

  /// Whether the body is expected to be a stream; nil where the label does not tell.
  var isStream: Bool? {
    switch self {
    case .eventStream, .jsonLines: true
    case .json: false
    case .unknown, .other: nil
    }
  }
}

/// How a body is read.
enum BodyShape: Hashable {
  case stream(Framing)
  /// One JSON text, or a line of many: its second line tells.
  case text
  /// Sound or a picture.
  case media
  /// Nothing that carries tokens.
  case other

  /// By the first bytes of a body.
  /// - Parameters:
  ///   - dialect: what its streams look like.
  ///   - isAll: whether no more bytes are waited for.
  /// - Returns: nil where more of them are needed.
  init?(firstBytes bytes: RawSpan, _ label: BodyLabel, _ dialect: any Dialect.Type, isAll: Bool) {
    var start = bytes.starts(with: "\u{FEFF}") ? 3 : 0
    if start == 0, bytes.byteCount < 3, bytes.isPrefix(of: "\u{FEFF}") { return nil }
    while start < bytes.byteCount, bytes[start].isJSONSpace { start += 1 }
    let rest = bytes.extracting(start..<bytes.byteCount)
    if dialect.answersInMedia, label == .other {
      self = .media
      return
    }
    if rest.isEmpty, !isAll { return nil }
    switch rest.isEmpty ? 0 : rest[0] {
    case UInt8(ascii: "{"):
      let isLines = label == .jsonLines || (label == .unknown && dialect.framing == .newlineDelimitedJSON)
      self = isLines ? .stream(.newlineDelimitedJSON) : .text
    case UInt8(ascii: "["): self = dialect.framing == .jsonArray ? .stream(.jsonArray) : .text
    default:
      if label == .eventStream {
        self = .stream(.serverSentEvents)
        return
      }
      switch rest.isEmpty ? false : rest.startsEventField {
      case true?: self = .stream(.serverSentEvents)
      case nil:
        guard isAll else { return nil }
        self = dialect.answersInMedia ? .media : .other
      case false?:
        switch label {
        case .jsonLines: self = .stream(.newlineDelimitedJSON)
        case .json: self = .text
        default: self = dialect.answersInMedia ? .media : .other
        }
      }
    }
  }
}
