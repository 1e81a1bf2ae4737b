// The recorder of an exchange, without a proxy: what waits to be decoded, and who sees it.
import Clocks
import HTTP
import HTTP1
import RecordLog
import SettingValues
import TestSupport
import Testing

@testable import Measurement
@testable import Proxy

@Suite("An exchange's recorder")
struct ExchangeRecorderTests {
  /// A recorder of a chat whose response's head has been sent on.
  private final class Chat {
    let recorder: ExchangeRecorder
    private let parser = MessageParser(.response, limits: HTTPLimits.test())

    init(_ resources: RecordingResources) throws {
      recorder = ExchangeRecorder(client: "::1", received: .now(), RecordingOptions(keepsTimeline: true), resources)
      let request = MessageParser(.request, limits: HTTPLimits.test())
      _ = request.parse(
        Array(get("/v1/chat/completions").replacing("GET", with: "POST").utf8).span.bytes, into: BodyRanges())
      let head = try RequestHead(request)
      recorder.request(head, RequestMetadata(head), from: RequestOrigin(), decoderLimits: .test())
      _ = parser.parse(Array(streamHead.utf8).span.bytes, into: BodyRanges())
      let response = try ResponseHead(parser)
      let settings = Settings(upstream: UpstreamAddress(host: "a", port: 1))
      recorder.responseHead(
        response, ResponseMetadata(response, ConfigurationSnapshot(settings)), firstByteAt: .at(1), completeAt: .at(1))
    }

    var progress: ResponseProgress { recorder.progress }

    func forward(_ event: String, undelivered: UInt64? = nil, isLast: Bool = false) {
      let bytes = Array(chunk(event).utf8)
      let ranges = BodyRanges()
      _ = parser.parse(bytes.span.bytes, into: ranges)
      recorder.forwarded(
        ranges, of: bytes.span.bytes, Arrival(at: .at(2), readAt: .at(2), source: .loop),
        undelivered: undelivered, isLast: isLast)
    }
  }

  private let resources: RecordingResources

  init() throws {
    let writer = try RecordWriter(RecordWriter.Settings(path: "/dev/null", instance: "test"))
    resources = RecordingResources(counters: Counters(), models: ModelRegistry(limit: 1), writer: writer)
  }

  @Test("A read waits until something is asked of its recorder, and is decoded before that is answered")
  func accessors() throws {
    let questions: [(String, (borrowing ExchangeRecorder) -> Bool)] = [
      ("progress", { $0.progress.hasOutput }), ("newestTokenAt", { $0.newestTokenAt == .at(2) }),
      ("awaitsTokens", { $0.awaitsTokens }), ("requestBytes", { $0.requestBytes == 0 }),
      ("isInFlight", { !$0.isInFlight }),
      (
        "requestCompleted",
        {
          $0.requestCompleted(last: BodyRanges(), of: RawSpan(), at: .at(3)); return true
        }
      ),
      (
        "requestBody",
        {
          $0.requestBody(BodyRanges(), of: RawSpan()); return true
        }
      ),
      (
        "connected",
        {
          $0.connected(startedAt: .at(0), at: .at(3), reused: true) { 1 }; return true
        }
      ),
      (
        "tunnelled",
        {
          $0.tunnelled(TunnelCount()); return true
        }
      ),
      (
        "replied",
        {
          $0.replied(status: 502); return true
        }
      ),
      (
        "readingPaused",
        {
          $0.readingPaused(at: .at(3)); return true
        }
      ),
      (
        "readingResumed",
        {
          $0.readingResumed(at: .at(3)); return true
        }
      ),
      (
        "responseEnded",
        {
          $0.responseEnded(at: .at(3), complete: true); return true
        }
      ),
    ]
    for (name, ask) in questions {
      let chat = try Chat(resources)
      chat.forward(token("a"))
      #expect(resources.decoder.queuedReads == 1, "\(name)")
      let isRight = ask(chat.recorder)
      #expect(isRight, "\(name)")
      #expect(resources.decoder.queuedReads == 0, "\(name)")
    }
  }

  @Test("A body's last read is decoded at once, and behind those that wait")
  func last() throws {
    let alone = try Chat(resources)
    alone.forward(token("a"), isLast: true)
    #expect(resources.decoder.queuedReads == 0)
    #expect(alone.progress.hasOutput)
    let behind = try Chat(resources)
    behind.forward(": comment\n\n")
    behind.forward(token("a"), isLast: true)
    #expect(resources.decoder.queuedReads == 2)
    #expect(behind.progress.hasOutput)
  }

  @Test("One recorder's reads are decoded without the others'")
  func apart() throws {
    let (one, other) = (try Chat(resources), try Chat(resources))
    for chat in [one, other, one] { chat.forward(token("a")) }
    #expect(one.progress.hasOutput)
    #expect(resources.decoder.queuedReads == 3)
    #expect(other.progress.hasOutput)
    #expect(resources.decoder.queuedReads == 0)
  }

  @Test("What waits of a recorder that is gone is decoded nowhere")
  func gone() throws {
    let kept = try Chat(resources)
    kept.forward(token("a"))
    do {
      let gone = try Chat(resources)
      gone.forward(token("b"))
    }
    #expect(resources.decoder.queuedReads == 2)
    #expect(kept.progress.hasOutput)
    #expect(resources.decoder.queuedReads == 0)
  }

  @Test("A terminator is delivered when the client's socket has taken the last of its bytes, and not one byte before")
  func terminatorDelivered() throws {
    let chat = try Chat(resources)
    chat.forward("data: [DONE]\n\n", undelivered: 100)
    #expect(!chat.progress.isTerminatorDelivered)
    chat.recorder.clientFlushed(sent: 99)
    #expect(!chat.progress.isTerminatorDelivered)
    chat.recorder.clientFlushed(sent: 100)
    #expect(chat.progress.isTerminatorDelivered)
    let atOnce = try Chat(resources)
    atOnce.forward("data: [DONE]\n\n")
    #expect(atOnce.progress.isTerminatorDelivered)
    let without = try Chat(resources)
    without.forward(token("a"))
    #expect(!without.progress.isTerminatorDelivered)
    without.forward("data: {\"error\":{\"message\":\"x\",\"type\":\"overloaded\"}}\n\n", undelivered: 200)
    #expect(!without.progress.isTerminatorDelivered)
    without.recorder.clientFlushed(sent: 200)
    #expect(without.progress.isTerminatorDelivered)
  }

  @Test("An exchange is counted among those in flight once, however often it connects")
  func inFlight() throws {
    let chat = try Chat(resources)
    var counted = 0
    for _ in 0..<2 {
      chat.recorder.connected(startedAt: .at(0), at: .at(1), reused: false) {
        counted += 1
        return counted
      }
      let isInFlight = chat.recorder.isInFlight
      #expect(isInFlight)
    }
    #expect(counted == 1)
  }
}
