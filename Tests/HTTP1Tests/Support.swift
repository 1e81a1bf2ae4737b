// Feeds messages to the parsers whole and in pieces, and writes them anew as the proxy does.
import TestSupport
import Testing

@testable import HTTP
@testable import HTTP1

/// What became of a message that was parsed and written anew.
struct Relayed: Equatable {
  var bytes = ""
  var error: HTTPParseError?
  var isComplete = false
  var leftOver = ""
}

/// A cache of request heads. The payload tells heads apart that were read in full.
typealias RequestCache = HeadCache<RequestHead, Int>
/// A cache of response heads.
typealias ResponseCache = HeadCache<ResponseHead, Int>

/// Parses one request given in `pieces` and serializes it as for upstream: read in full, and with a cache that has it.
/// - Parameter isStrict: whether only what RFC 3986 allows is a target.
func relayRequest(
  _ pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits.test(), isStrict: Bool = false,
  policy: ForwardingPolicy = ForwardingPolicy()
) -> Relayed {
  let cache = RequestCache()
  let relayed = relayRequest(pieces, limits: limits, isStrict: isStrict, policy: policy, cache: .null())
  for _ in 0..<3 {
    let again = relayRequest(pieces, limits: limits, isStrict: isStrict, policy: policy, cache: cache)
    guard again == relayed else {
      Issue.record("read otherwise once cached: \(relayed) became \(again)")
      return again
    }
  }
  return relayed
}

/// The same once.
func relayRequest(
  _ pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits.test(), isStrict: Bool = false,
  policy: ForwardingPolicy = ForwardingPolicy(), cache: RequestCache
) -> Relayed {
  let parser = MessageParser(.request, limits: limits)
  parser.acceptsAnyTarget = !isStrict
  return relay(parser, pieces) { bytes, output in
    guard let found = cache.lookup(bytes, for: parser) else { return nil }
    found.head.serialized(varying: found.varying, defaultHost: "upstream:80", policy: policy)?
      .append(to: output, valuesOf: found.head.fields)
    return (found.head.fields.bytes.count, found.head.framing)
  } framing: { output throws(HTTPParseError) in
    let head = try RequestHead(parser)
    cache.insert(head, 0, from: parser)
    head.write(to: output, defaultHost: "upstream:80", policy: policy)
    return head.framing
  }
}

/// Parses one response given in `pieces` and serializes it as for a client: read in full, and with a cache that has it.
func relayResponse(_ pieces: [[UInt8]], client11: Bool = true, answersHead: Bool = false) -> Relayed {
  let cache = ResponseCache()
  let relayed = relayResponse(pieces, client11: client11, answersHead: answersHead, cache: .null())
  for _ in 0..<3 {
    let again = relayResponse(pieces, client11: client11, answersHead: answersHead, cache: cache)
    guard again == relayed else {
      Issue.record("read otherwise once cached: \(relayed) became \(again)")
      return again
    }
  }
  return relayed
}

/// The same once.
func relayResponse(
  _ pieces: [[UInt8]], client11: Bool = true, answersHead: Bool = false, cache: ResponseCache
) -> Relayed {
  let parser = MessageParser(.response, limits: HTTPLimits.test())
  parser.answersHead = answersHead
  return relay(parser, pieces) { bytes, output in
    guard let found = cache.lookup(bytes, for: parser) else { return nil }
    found.head.serialized(varying: found.varying, client11: client11, closing: false, policy: ForwardingPolicy())
      .append(to: output, valuesOf: found.head.fields)
    return (found.head.fields.bytes.count, found.head.framing(forVersion11: client11))
  } framing: { output throws(HTTPParseError) in
    let head = try ResponseHead(parser)
    cache.insert(head, 0, from: parser)
    head.write(to: output, client11: client11, closing: false)
    return head.framing(forVersion11: client11)
  }
}

/// - Parameters:
///   - cached: serializes the head that the bytes begin with, if it is cached; its size, and the framing of its body.
///   - framing: serializes the head that `parser` has completed, and tells the framing of its body.
private func relay(
  _ parser: MessageParser, _ pieces: [[UInt8]],
  cached: (RawSpan, OutputBuffer) -> (consumed: Int, framing: BodyFraming)?,
  framing: (OutputBuffer) throws(HTTPParseError) -> BodyFraming
) -> Relayed {
  var relayed = Relayed()
  let (ranges, output) = (BodyRanges(), OutputBuffer())
  var sent = BodyFraming.none
  for piece in pieces {
    var rest = piece[...]
    while !relayed.isComplete {
      if let found = cached(rest.span.bytes, output) {
        sent = found.framing
        rest = rest.dropFirst(found.consumed)
      }
      let (consumed, progress) = parser.parse(rest.span.bytes, into: ranges)
      switch progress {
      case .needsMore: break
      case .headComplete:
        do throws(HTTPParseError) { sent = try framing(output) } catch {
          relayed.error = error
          relayed.bytes = String(decoding: output.bytes, as: UTF8.self)
          return relayed
        }
        rest = rest.dropFirst(consumed)
        continue
      case .messageComplete:
        relayed.isComplete = true
      case .failed(let error):
        relayed.error = error
        relayed.bytes = String(decoding: output.bytes, as: UTF8.self)
        return relayed
      }
      let taken = rest.prefix(consumed)
      BodyEncoder.append(ranges, by: parser, of: taken.span.bytes, framing: sent, to: output)
      rest = rest.dropFirst(consumed)
      break
    }
    relayed.leftOver += String(decoding: rest, as: UTF8.self)
  }
  relayed.bytes = String(decoding: output.bytes, as: UTF8.self)
  return relayed
}

/// A text cut in two at every place, and once byte by byte, besides the whole.
func everySplit(_ text: String) -> [[[UInt8]]] {
  let bytes = Array(text.utf8)
  let halves = (1..<max(bytes.count, 2)).map { cut in
    [Array(bytes.prefix(cut)), Array(bytes.dropFirst(cut))]
  }
  return [[bytes]] + halves + [bytes.map { [$0] }]
}

/// Framing fields that leave it open where a message ends, and what is said of them: of requests and responses alike.
let openFramings = [
  ("Content-Length: 1|Transfer-Encoding: chunked", "Content-Length beside Transfer-Encoding"),
  ("Transfer-Encoding: chunked|Content-Length: 1", "Content-Length beside Transfer-Encoding"),
  ("content-length: 1|X: y|TRANSFER-ENCODING:\tchunked", "Content-Length beside Transfer-Encoding"),
  ("Transfer-Encoding: gzip|X: y|Content-Length: 1", "Content-Length beside Transfer-Encoding"),
  ("Content-Length: 1|Transfer-Encoding:", "Content-Length beside Transfer-Encoding"),
  ("Transfer-Encoding:|Content-Length: 1", "Content-Length beside Transfer-Encoding"),
  ("Content-Length: 1|Content-Length: 1", "Content-Length given twice"),
  ("Content-Length: 1|X: y|content-length:", "Content-Length given twice"),
  ("Transfer-Encoding: chunked|Transfer-Encoding: chunked", "Transfer-Encoding given twice"),
  ("Transfer-Encoding: chunked|Transfer-Encoding: gzip", "Transfer-Encoding given twice"),
  ("Transfer-Encoding: gzip|X: y|Transfer-Encoding: chunked", "Transfer-Encoding given twice"),
  ("Transfer-Encoding: gzip, chunked", "Transfer-Encoding other than chunked"),
  ("Transfer-Encoding: chunked, gzip", "Transfer-Encoding other than chunked"),
  ("Transfer-Encoding: chunked;q=1", "Transfer-Encoding other than chunked"),
  ("Transfer-Encoding: gzip", "Transfer-Encoding other than chunked"),
  ("Content-Length: 1, 1", "Content-Length is not a plain decimal number"),
  ("Content-Length: 0x1", "Content-Length is not a plain decimal number"),
  ("Content-Length:", "Content-Length is not a plain decimal number"),
  ("Content-Length:|Transfer-Encoding: chunked", "Content-Length is not a plain decimal number"),
  ("Content-Length: 00000000000000000001", "Content-Length has more than 19 digits"),
  ("Content-Length: 18446744073709551616", "Content-Length has more than 19 digits"),
  ("Content-Length: 9223372036854775808", "Content-Length is too large"),
].map { (fields: $0.split(separator: "|").joined(separator: "\r\n"), reason: $1) }
