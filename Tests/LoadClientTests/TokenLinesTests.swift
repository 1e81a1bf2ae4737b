// The scanner of lines: given whole and cut anywhere.
import Testing

@testable import LoadClient

@Suite("Lines with tokens, counted")
struct TokenLinesTests {
  func lines(_ path: String, _ text: String, cut: Int) -> TokenLines {
    var lines = TokenLines(path: path)
    let bytes = Array(text.utf8)
    bytes[..<cut].withUnsafeBytes { lines.append($0) }
    bytes[cut...].withUnsafeBytes { lines.append($0) }
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
    start.withUnsafeBytes { lines.append($0) }
    let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
    for _ in 0..<10 { piece.withUnsafeBytes { lines.append($0) } }
    Array("\"}}]}\n".utf8).withUnsafeBytes { lines.append($0) }
    #expect(lines.tokens == 1)
  }
}
