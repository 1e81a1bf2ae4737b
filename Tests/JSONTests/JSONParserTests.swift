// What JSONParser accepts and refuses, and that its memory serves text after text.
import JSON
import Testing

/// Parses `text` with `parser` and hands its root to `body`.
func parse<Result>(_ text: String, _ parser: JSONParser = JSONParser(), _ body: (JSONValue) -> Result) -> Result? {
  let bytes = Array(text.utf8)
  return parser.parse(bytes.span.bytes, body)
}

@Suite("JSONParser")
struct JSONParserTests {
  @Test(
    "Whole JSON values are taken, white space around them too",
    arguments: ["{}", "[1]", "\"a\"", "null", "1", " {\"a\":1} \r\n\t", "\"\u{2028}\""])
  func takes(text: String) {
    #expect(parse(text) { _ in true } == true)
  }

  @Test(
    "What is not one whole JSON value is refused",
    arguments: [
      "", " ", "{", "{\"a\":1", "{\"a\":1}}", "[DONE]", "{'a':1}", "{\"a\":01}", "\"\u{1}\"", "NaN", "{\"a\":1,}",
    ])
  func refuses(text: String) {
    #expect(parse(text) { _ in true } == nil)
  }

  @Test("Ill-formed UTF-8 is refused")
  func refusesIllFormedUTF8() {
    let bytes: [UInt8] = [0x22, 0xED, 0xA0, 0x80, 0x22]
    #expect(JSONParser().parse(bytes.span.bytes) { _ in true } == nil)
  }

  @Test("The text is not written to")
  func leavesTheTextAlone() {
    let bytes = Array(#"{"a":"x\n\u00e9\"y"}"#.utf8)
    let before = bytes
    let read = JSONParser().parse(bytes.span.bytes) { $0["a"]?.string }
    #expect(read == "x\né\"y")
    #expect(bytes == before)
  }

  @Test("A text larger than the retained memory is parsed all the same, and small ones after it")
  func largeText() {
    let parser = JSONParser(retainedBytes: 256)
    let long = String(repeating: "a", count: 100_000)
    for _ in 0..<3 {
      #expect(parse("[\"\(long)\"]", parser) { $0.count } == 1)
      #expect(parse("{\"k\":\"v\"}", parser) { $0["k"]?.string } == "v")
    }
  }

  @Test("Every length of text around the edge of the retained memory is parsed")
  func memoryEdge() {
    let parser = JSONParser(retainedBytes: 1024)
    for count in 0..<200 {
      let text = "\"" + String(repeating: "x", count: count) + "\""
      #expect(parse(text, parser) { $0.utf8Count } == count)
    }
  }
}
