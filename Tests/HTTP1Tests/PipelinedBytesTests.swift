// Bytes that wait behind a request keep the times of their reads, and are bounded.
import Clocks
import HTTP1
import Testing

@Suite("Pipelined bytes")
struct PipelinedBytesTests {
  private static func pipelined(_ reads: [(String, UInt64)]) -> PipelinedBytes {
    var pipelined = PipelinedBytes()
    for (text, at) in reads { pipelined.append(Array(text.utf8).span.bytes, at: Instant(nanoseconds: at)) }
    return pipelined
  }

  @Test("What is left keeps the time of the read that brought its first byte")
  func dropping() {
    let pipelined = Self.pipelined([("abc", 1), ("de", 2), ("f", 3)])
    #expect(pipelined.bytes == Array("abcdef".utf8) && pipelined.firstAt?.nanoseconds == 1)
    for (count, at) in [(0, 1), (2, 1), (3, 2), (4, 2), (5, 3)] as [(Int, UInt64)] {
      let rest = pipelined.dropping(count)
      #expect(rest.bytes == Array("abcdef".utf8.dropFirst(count)) && rest.firstAt?.nanoseconds == at)
      // Twice is as good as once.
      #expect(pipelined.dropping(count).dropping(0).firstAt == rest.firstAt)
      if count < 4 { #expect(rest.dropping(5 - count).firstAt?.nanoseconds == 3) }
    }
    var rest = pipelined.dropping(6)
    #expect(rest.isEmpty && rest.firstAt == nil)
    rest.append(Array("g".utf8).span.bytes, at: Instant(nanoseconds: 4))
    #expect(rest.firstAt?.nanoseconds == 4, "bytes that come later have a time of their own")
  }

  @Test("They are full by bytes, and by reads")
  func full() {
    #expect(!Self.pipelined([(String(repeating: "x", count: 65_536), 1)]).isFull)
    #expect(Self.pipelined([(String(repeating: "x", count: 65_537), 1)]).isFull)
    #expect(!Self.pipelined((0..<255).map { ("x", $0) }).isFull)
    #expect(Self.pipelined((0..<256).map { ("x", $0) }).isFull)
  }
}
