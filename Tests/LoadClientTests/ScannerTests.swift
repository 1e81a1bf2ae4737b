// The scanners of bodies: given whole, byte by byte, and cut anywhere.
import Testing

@testable import LoadClient

@Suite("Chunked bodies, walked")
struct ChunkedBodyTests {
  /// The data and the progress of a body given in pieces.
  func walk(_ pieces: [[UInt8]]) -> (data: String, progress: ChunkedBody.Progress, left: Int) {
    var body = ChunkedBody()
    var data: [UInt8] = []
    var progress = ChunkedBody.Progress.needsMore
    var left = 0
    for piece in pieces {
      guard progress == .needsMore else {
        left += piece.count
        continue
      }
      piece.withUnsafeBytes { bytes in
        let (end, reached) = body.walk(bytes, from: 0) { data += bytes[$0] }
        progress = reached
        left += bytes.count - end
      }
    }
    return (String(decoding: data, as: UTF8.self), progress, left)
  }

  @Test("The data, the end and what is behind it are found at every split")
  func splits() {
    let text = "5\r\nhello\r\nA;x=\"1\"\r\n, 10 bytes\r\n000\r\nT: 1\r\nU: 2\r\n\r\nHTTP"
    let bytes = Array(text.utf8)
    for cut in 0...bytes.count {
      let seen = walk([Array(bytes[..<cut]), Array(bytes[cut...])])
      #expect(seen == ("hello, 10 bytes", .complete, 4))
    }
    #expect(walk(bytes.map { [$0] }) == ("hello, 10 bytes", .complete, 4))
  }

  @Test("What hides the end is noticed", arguments: ["x\r\n", "5\r\nhelloX", "\r\n", "1111111111111111\r\n"])
  func broken(text: String) { #expect(walk([Array(text.utf8)]).progress == .broken) }

  @Test("A body that stops early is not complete", arguments: ["5\r\nhel", "0\r\n", "0\r\nT: 1\r\n", ""])
  func early(text: String) { #expect(walk([Array(text.utf8)]).progress == .needsMore) }
}

@Suite("Lines with tokens, counted")
struct TokenLinesTests {
  func lines(_ path: String, _ text: String, cut: Int) -> TokenLines {
    var lines = TokenLines(path: path)
    let bytes = Array(text.utf8)
    bytes[..<cut].withUnsafeBytes { lines.feed($0) }
    bytes[cut...].withUnsafeBytes { lines.feed($0) }
    return lines
  }

  @Test(
    "Only lines with text count, whatever the split",
    arguments: [
      (
        "/v1/chat/completions",
        """
        data: {"choices":[{"delta":{"role":"assistant","content":""}}]}

        data: {"choices":[{"delta":{"content":"a"}}]}

        data: {"choices":[{"delta":{"reasoning_content":"b"}}]}

        data: {"choices":[{"delta":{"content":"\\""}}]}

        data: {"choices":[{"delta":{},"finish_reason":"stop"}]}

        data: [DONE]


        """
      ),
      (
        "/v1/completions",
        """
        data: {"choices":[{"index":0,"text":"a"}]}
        data: {"choices":[{"index":10,"text":"b"}]}
        data: {"choices":[{"index":0,"text":"c"}]}
        data: {"choices":[{"index":0,"text":""}]}
        data: [DONE]

        """
      ),
      (
        "/api/generate",
        """
        {"response":"a","done":false}
        {"response":"b","done":false}
        {"response":"c","done":false}
        {"response":"","done":true}

        """
      ),
    ])
  func counts(path: String, text: String) {
    for cut in 0...text.utf8.count {
      let seen = lines(path, text, cut: cut)
      #expect(seen.tokens == 3 && seen.sawEnd && !seen.sawError)
    }
  }

  @Test("An error event is seen, and is no token")
  func error() {
    let seen = lines("/v1/chat/completions", "data: {\"error\":{\"message\":\"x\"}}\n\n", cut: 9)
    #expect(seen.sawError && seen.tokens == 0 && !seen.sawEnd)
  }

  @Test("A line of ten megabytes in pieces is one line, and is not kept")
  func long() {
    var lines = TokenLines(path: "/v1/chat/completions")
    let start = Array("data: {\"choices\":[{\"delta\":{\"content\":\"a".utf8)
    start.withUnsafeBytes { lines.feed($0) }
    let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
    for _ in 0..<10 { piece.withUnsafeBytes { lines.feed($0) } }
    Array("\"}}]}\n".utf8).withUnsafeBytes { lines.feed($0) }
    #expect(lines.tokens == 1)
  }
}
