// Newline-delimited JSON: lines, their ends, and the bound on memory.
import Testing

@testable import TokenWire

/// The lines of a stream that arrives in `parts`, the unfinished one last and marked.
private func lines(_ parts: [ArraySlice<UInt8>], limit: Int = 1 << 20) -> [String] {
  var machine = JSONLines(limit: limit)
  var seen: [String] = []
  for part in parts {
    machine.feed(part.span.bytes, &seen) { seen, line, _ in
      seen.append(line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }
  }
  if machine.hasOverlong { seen.append("overlong") }
  machine.finish(&seen) { seen, line, _ in
    seen.append("unfinished " + line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
  }
  return seen
}

@Suite("JSONLines")
struct JSONLinesTests {
  @Test(
    "Lines end in LF or CRLF, empty ones are ignored, the last may lack its end",
    arguments: [
      ("a\nb\n", ["a", "b"]), ("a\r\nb\r\n", ["a", "b"]), ("\n\r\na\n\n\n", ["a"]), ("a\nb", ["a", "unfinished b"]),
      ("", []), ("a\rb\n", ["a\rb"]), ("é€😀\n", ["é€😀"]),
    ])
  func framing(stream: String, expected: [String]) {
    let bytes = Array(stream.utf8)
    #expect(lines([bytes[...]]) == expected)
    #expect(lines(bytes.indices.map { bytes[$0...$0] }) == expected)
    for cut in 0...bytes.count { #expect(lines([bytes[..<cut], bytes[cut...]]) == expected) }
  }

  @Test("What is longer than the limit is passed over, however the bytes are cut, and what comes behind it is not")
  func overfull() {
    let bytes = Array("12345678\n123456789\n1\n".utf8)
    for cut in 0...bytes.count {
      #expect(lines([bytes[..<cut], bytes[cut...]], limit: 8) == ["12345678", "1", "overlong"])
    }
  }
}
