// A client's connection, as a table of its states and over a stream that the test plays.
import Clocks
import HTTP
import TestSupport
import Testing
import Transport

@testable import HTTP1

private typealias State = ClientConnectionState

/// A connection in each phase.
private func state(_ phase: State.Phase, isUntilClose: Bool = false, keepsAlive: Bool = true) -> State {
  var state = State()
  if phase == .closed { state.closed() }
  guard phase != .idle, phase != .closed else { return state }
  state.requestBegan()
  if phase == .switched { state.protocolSwitched() }
  guard phase == .body || phase == .complete else { return state }
  state.headReceived(isInformational: false, isUntilClose: isUntilClose, keepsAlive: keepsAlive)
  if phase == .complete { state.responseCompleted(hasSurplus: false) }
  return state
}

@Suite("The state of a client's connection")
struct ClientConnectionStateTests {
  @Test("The server's end completes only a body that nothing else delimits")
  func serverEnds() {
    let expected: [(State.Phase, isUntilClose: Bool, State.ServerEnd)] = [
      (.idle, false, .idle), (.head, false, .truncatesResponse), (.body, false, .truncatesResponse),
      (.body, true, .completesResponse), (.complete, false, .idle), (.switched, false, .idle), (.closed, false, .idle),
    ]
    for (phase, isUntilClose, end) in expected {
      var state = state(phase, isUntilClose: isUntilClose)
      #expect(state.phase == phase)
      #expect(state.serverEnded() == end, "\(phase)")
      #expect(!state.mayReuse(queued: 0), "nothing can be sent to a server that has ended its side")
    }
  }

  @Test("A connection is used again if the server keeps it, the request was sent, and nothing came behind the response")
  func reuse() {
    #expect(state(.complete).mayReuse(queued: 0))
    #expect(!state(.complete).mayReuse(queued: 1))
    #expect(!state(.complete, keepsAlive: false).mayReuse(queued: 0))
    #expect(!state(.complete, isUntilClose: true).mayReuse(queued: 0))
    for phase in [.idle, .head, .body, .switched, .closed] as [State.Phase] {
      #expect(!state(phase).mayReuse(queued: 0), "\(phase)")
    }
    var surplus = state(.body)
    surplus.responseCompleted(hasSurplus: true)
    #expect(!surplus.mayReuse(queued: 0))
  }

  @Test("An interim head leaves a final one to be awaited")
  func interim() {
    var state = state(.head)
    state.headReceived(isInformational: true, isUntilClose: false, keepsAlive: true)
    #expect(state.awaitsHead)
  }

  @Test("Nothing of one exchange is left for the next")
  func release() {
    var state = state(.complete)
    #expect(!state.isReused)
    state.released()
    #expect(state.phase == .idle && state.isReused && !state.mayReuse(queued: 0))
    state.requestBegan()
    state.headReceived(isInformational: false, isUntilClose: true, keepsAlive: true)
    #expect(state.serverEnded() == .completesResponse)
    state.released()
    state.requestBegan()
    state.headReceived(isInformational: false, isUntilClose: false, keepsAlive: false)
    #expect(state.serverEnded() == .truncatesResponse)
  }
}

/// Notes what a connection reports.
private final class Client: ClientConnectionDelegate {
  let stream = ScriptedStream()
  let connection: ClientConnection
  var events: [String] = []
  var cache: HeadCache<ResponseHead, Void>?
  /// The status of the head that is refused.
  var refusedStatus: Int?
  var switches = false
  var notesInterim = false

  init() {
    connection = ClientConnection(stream, limits: HTTPLimits.test(), ranges: BodyRanges(), output: OutputBuffer())
    connection.start()
  }

  func clientConnection(_ connection: ClientConnection, cachedHeadIn bytes: RawSpan) -> ResponseHead? {
    cache?.lookup(bytes, for: connection.parser)?.head
  }

  func clientConnection(
    _ connection: ClientConnection, didReceive head: ResponseHead, _ arrival: Arrival, into output: OutputBuffer
  ) throws(HTTPParseError) {
    events.append("head \(head.status)")
    if head.status == refusedStatus { throw HTTPParseError(.unexpectedUpgrade, "refused") }
    if switches, head.status == 101 { connection.switchProtocols() }
  }

  func clientConnection(
    _ connection: ClientConnection, didReadBody ranges: BodyRanges, of bytes: RawSpan,
    _ outcome: ClientConnection.ReadOutcome, _ arrival: Arrival, into output: OutputBuffer
  ) {
    var body = ""
    for index in 0..<ranges.count {
      let range = ranges[index]
      body += String(decoding: range.map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }, as: UTF8.self)
    }
    switch outcome {
    case .partial: events.append("read \(body)")
    case .complete: events.append("complete \(body)")
    case .failed(let error): events.append("failed \(error.kind)")
    }
  }

  func clientConnectionDidCompleteInterim(_ connection: ClientConnection, isNextBegun: Bool, _ arrival: Arrival) {
    if notesInterim { events.append("interim \(isNextBegun)") }
  }

  func clientConnection(
    _ connection: ClientConnection, didSwitchProtocolsWith bytes: RawSpan, _ arrival: Arrival, into output: OutputBuffer
  ) {
    events.append("switched \(bytes.byteCount)")
  }

  func clientConnection(_ connection: ClientConnection, serverDidEnd end: ClientConnectionState.ServerEnd) {
    events.append("\(end)")
  }

  func clientConnection(_ connection: ClientConnection, didFailWith error: TransportError) { events.append("failed") }
  func clientConnectionDidReadUnexpectedly(_ connection: ClientConnection) { events.append("unexpected") }
}

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

@Suite("A client's connection")
struct ClientConnectionTests {
  @Test("A response is read whole, byte by byte, and behind interim ones", arguments: [true, false])
  func responses(bytewise: Bool) {
    let client = Client()
    client.connection.beginExchange(client, answersHead: false)
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + ok
    if bytewise {
      for byte in text.utf8 { client.stream.receive(String(decoding: [byte], as: UTF8.self)) }
      #expect(client.events.filter { $0 != "read " } == ["head 100", "head 103", "head 200", "read o", "complete k"])
    } else {
      client.stream.receive(text)
      #expect(client.events == ["head 100", "head 103", "head 200", "complete ok"])
    }
    #expect(client.connection.mayReuse)
  }

  @Test("A connection carries one exchange after the other")
  func reuse() {
    let client = Client()
    for round in 0..<3 {
      client.connection.beginExchange(client, answersHead: round == 1)
      #expect(client.connection.isReused == (round > 0))
      client.stream.receive(round == 1 ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" : ok)
      #expect(client.connection.mayReuse, "\(round)")
      client.connection.endExchange(nextDelegate: client)
    }
    #expect(client.events == ["head 200", "complete ok", "head 200", "complete ", "head 200", "complete ok"])
    client.stream.receive("HTTP")
    #expect(client.events.last == "unexpected")
  }

  @Test("Interim responses to a HEAD do not make its response have a body")
  func interimBeforeHead() {
    let client = Client()
    client.connection.beginExchange(client, answersHead: true)
    client.stream.receive("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    #expect(client.events == ["head 103", "head 200", "complete "])
  }

  @Test("The end of an interim response tells whether the next head has begun")
  func interimEnds() {
    let client = Client()
    client.notesInterim = true
    client.connection.beginExchange(client, answersHead: false)
    client.stream.receive("HTTP/1.1 100 Continue\r\n\r\n")
    client.stream.receive("HTTP/1.1 103 Early\r\n\r\nHTTP")
    client.stream.receive("/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    #expect(
      client.events == [
        "head 100", "interim false", "read ", "head 103", "interim true", "read ", "head 200", "complete ok",
      ])
  }

  @Test("A connection whose reading was paused is read once its exchange has ended")
  func resumed() {
    let client = Client()
    client.connection.beginExchange(client, answersHead: false)
    client.stream.receive(ok)
    client.stream.pauseReading(detectingClose: false)
    client.connection.endExchange(nextDelegate: client)
    #expect(client.stream.isReading)
  }

  @Test("Bytes behind a response end the connection's use")
  func surplus() {
    let client = Client()
    client.connection.beginExchange(client, answersHead: false)
    client.stream.receive(ok + "H")
    #expect(client.events == ["head 200", "complete ok"] && !client.connection.mayReuse)
  }

  @Test("A body that the close delimits ends with it, another is truncated by it")
  func serverEnd() {
    let untilClose = Client()
    untilClose.connection.beginExchange(untilClose, answersHead: false)
    untilClose.stream.receive("HTTP/1.1 200 OK\r\n\r\nbody")
    untilClose.stream.end()
    #expect(untilClose.events == ["head 200", "read body", "completesResponse"])
    let truncated = Client()
    truncated.connection.beginExchange(truncated, answersHead: false)
    truncated.stream.receive("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody")
    truncated.stream.end()
    #expect(truncated.events == ["head 200", "read body", "truncatesResponse"])
  }

  @Test("What is no response, and what the delegate refuses, fails")
  func failures() {
    let malformed = Client()
    malformed.connection.beginExchange(malformed, answersHead: false)
    malformed.stream.receive("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx")
    #expect(malformed.events == ["head 200", "failed malformedChunk"])
    let refused = Client()
    refused.refusedStatus = 101
    refused.connection.beginExchange(refused, answersHead: false)
    refused.stream.receive("HTTP/1.1 101 S\r\n\r\n" + ok)
    #expect(refused.events == ["head 101", "failed unexpectedUpgrade"])
  }

  @Test("Behind a switch of protocols the bytes are the owner's")
  func switched() {
    let client = Client()
    client.switches = true
    client.connection.beginExchange(client, answersHead: false)
    client.stream.receive("HTTP/1.1 101 S\r\n\r\nabc")
    #expect(client.events == ["head 101", "switched 3"])
  }

  @Test("A cached head leads to the same")
  func cached() {
    let client = Client()
    let cache = HeadCache<ResponseHead, Void>()
    client.cache = cache
    for round in 0..<3 {
      client.connection.beginExchange(client, answersHead: false)
      if round == 0 {
        let parser = MessageParser(.response, limits: HTTPLimits.test())
        _ = parser.parse(Array(ok.utf8).span.bytes, into: BodyRanges())
        if let head = try? ResponseHead(parser) { cache.insert(head, from: parser) }
      }
      client.stream.receive(ok)
      client.connection.endExchange(nextDelegate: client)
    }
    #expect(client.events == ["head 200", "complete ok", "head 200", "complete ok", "head 200", "complete ok"])
  }
}
