// Feeds messages to the parsers whole and in pieces, and writes them anew as the proxy does.
import Testing

@testable import HTTPWire

/// What became of a message that was parsed and written anew.
struct Relayed: Equatable {
  var bytes = ""
  var error: WireError?
  var isComplete = false
  var leftOver = ""
}

/// Parses one request given in `pieces` and re-emits it as for upstream.
func relayRequest(_ pieces: [[UInt8]], limits: WireLimits = WireLimits()) -> Relayed {
  let parser = MessageParser(.request, limits: limits, spans: BodySpans())
  var head: RequestHead?
  return relay(parser, pieces) { parser, output throws(WireError) in
    if head == nil {
      let made = try RequestHead(parser)
      made.write(to: output, defaultHost: "upstream:80")
      head = made
    }
    return head?.framing ?? .none
  }
}

/// Parses one response given in `pieces` and re-emits it as for a client.
func relayResponse(_ pieces: [[UInt8]], client11: Bool = true, answersHead: Bool = false) -> Relayed {
  let parser = MessageParser(.response, limits: WireLimits(), spans: BodySpans())
  parser.answersHead = answersHead
  var head: ResponseHead?
  return relay(parser, pieces) { parser, output throws(WireError) in
    if head == nil {
      let made = try ResponseHead(parser)
      made.write(to: output, client11: client11, closing: false)
      head = made
    }
    return head?.framing(forVersion11: client11) ?? .none
  }
}

private func relay(
  _ parser: MessageParser, _ pieces: [[UInt8]],
  _ framing: (MessageParser, OutputBuffer) throws(WireError) -> BodyFraming
) -> Relayed {
  var relayed = Relayed()
  let output = OutputBuffer()
  var sent = BodyFraming.none
  for piece in pieces {
    var rest = piece[...]
    while !relayed.isComplete {
      let (consumed, progress) = parser.parse(rest.span.bytes)
      switch progress {
      case .needsMore: break
      case .headComplete:
        do throws(WireError) { sent = try framing(parser, output) } catch {
          relayed.error = error
          relayed.bytes = String(decoding: output.bytes, as: UTF8.self)
          return relayed
        }
        rest = rest.dropFirst(consumed)
        continue
      case .messageComplete:
        BodyWriter.append(parser.spans, of: rest.span.bytes, framing: sent, to: output)
        BodyWriter.appendEnd(framing: sent, trailers: parser.trailers, to: output)
        relayed.isComplete = true
      case .failed(let error):
        relayed.error = error
        relayed.bytes = String(decoding: output.bytes, as: UTF8.self)
        return relayed
      }
      if !relayed.isComplete {
        BodyWriter.append(parser.spans, of: rest.span.bytes, framing: sent, to: output)
      }
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
