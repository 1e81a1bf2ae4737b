// A scan of an object that passes by: the members it finds, whatever the pieces, the length and the damage.
import TestSupport
import Testing

@testable import JSON

private let paths = JSONPaths([
  ["model"], ["stream"], ["user"], ["n"], ["prompt"], ["metadata", "user_id"], ["metadata", "session_id"],
])

private func scan(_ pieces: [ArraySlice<UInt8>]) -> (excerpt: String, extent: JSONScanner.Extent) {
  var scanner = JSONScanner(paths)
  for piece in pieces { scanner.scan(Array(piece).span.bytes) }
  return (String(decoding: scanner.excerpt, as: UTF8.self), scanner.extent)
}

private func scan(_ text: String) -> (excerpt: String, extent: JSONScanner.Extent) { scan([Array(text.utf8)[...]]) }

@Suite("A JSON scan")
struct JSONScannerTests {
  /// Texts with what is found of them.
  private static let whole: [(String, String)] = [
    (#"{"model":"m","stream":true,"n":2}"#, #"{"model":"m","stream":true,"n":2}"#),
    (#" { "x" : [ 1 , { "model" : "no" } ] , "model" : "yes" } "#, #"{"model":"yes"}"#),
    (
      #"{"metadata":{"user_id":"u","model":"no","x":{"user_id":"no"}},"user_id":"no"}"#,
      #"{"metadata":{"user_id":"u"}}"#
    ),
    (#"{"model":"a","model":"b"}"#, #"{"model":"b"}"#), (#"{"user":"a","user":{}}"#, "{}"),
    (#"{"mod\u0065l":"\u00e9\ud83d\ude00\n"}"#, #"{"model":"é😀\u000a"}"#),
    (#"{"model":"\ud83d","user":"\udc00x"}"#, #"{"model":"\#u{FFFD}","user":"\#u{FFFD}x"}"#),
    (#"{"x":NaN,"y":[-Infinity],"model":"m"}"#, #"{"model":"m"}"#),
    ("{\"x\":\"a\nb\t\",\"model\":\"m\"}", #"{"model":"m"}"#),
    ("\u{FEFF}{\"model\":\"m\"}", #"{"model":"m"}"#), (#"{"n":NaN,"model":{"a":1},"user":["u"]}"#, #"{"user":[""]}"#),
    (#"{"prompt":["a",1,[2,"b"],{"c":[]},true],"n":1e2}"#, #"{"n":100.0,"prompt":["",0,[],{},0]}"#),
    (#"{"prompt":[],"model":"a\"b\\"}"#, #"{"model":"a\"b\\","prompt":[]}"#), ("{}", "{}"),
    (#"{"messages":[{"content":"{\"model\":\"no\"}, \"user\":\"no\""}],"user":"u"}"#, #"{"user":"u"}"#),
  ]

  /// Damaged texts, with what is found nevertheless.
  private static let damaged: [(String, String)] = [
    (#"{"model":"m","messages":[{"content":"cut"#, #"{"model":"m"}"#), (#"{"model":"m""#, #"{"model":"m"}"#),
    (#"{"a":"he said "hi" there","model":"m"}"#, #"{"model":"m"}"#),
    (#"{"a":"5" tall","model":"m"}"#, #"{"model":"m"}"#),
    (#"{"a":[{"b":1],"model":"m"}"#, #"{"model":"m"}"#), (#"{"a":[{"b":1}}],"model":"m"}"#, #"{"model":"m"}"#),
    (#"{"a":["b","model":"m","user":"u"}"#, #"{"model":"m","user":"u"}"#), (#"{"a":1 "model":"m"}"#, #"{"model":"m"}"#),
    (#"{"a":1,,"model":"m"}"#, #"{"model":"m"}"#), (#"{"a" 1,"model":"m"}"#, #"{"model":"m"}"#),
    (#"{"model":"m",}"#, #"{"model":"m"}"#), (#"{"model":"m"}x"#, #"{"model":"m"}"#),
    (#"{"model":"m"}{}"#, #"{"model":"m"}"#),
    (#"{"a":01 02,"model":"m"}"#, #"{"model":"m"}"#), (#"{]"model":"m"}"#, #"{"model":"m"}"#),
  ]

  @Test("Members are found at their depth", arguments: whole)
  func finds(_ text: String, _ excerpt: String) {
    let found = scan(text)
    #expect(found.excerpt == excerpt)
    #expect(found.extent == .whole)
  }

  @Test("What stands before damage is kept, and what is behind it is looked for", arguments: damaged)
  func survives(_ text: String, _ excerpt: String) {
    let found = scan(text)
    #expect(found.excerpt == excerpt)
    #expect(found.extent == .partly)
  }

  @Test(
    "What is no object is not read", arguments: ["", " ", "[]", "1", "\"model\"", "a=b&model=m", "[{\"model\":\"m\"}]"])
  func noObject(_ text: String) {
    let found = scan(text)
    #expect(found.excerpt == "{}")
    #expect(found.extent == .none)
  }

  @Test("However the bytes are cut, the same is found")
  func cuts() {
    var random = SeededRandom(seed: 5)
    for (text, excerpt) in Self.whole + Self.damaged {
      let bytes = Array(text.utf8)
      #expect(scan(bytes.indices.map { bytes[$0...$0] }).excerpt == excerpt)
      for _ in 0..<20 { #expect(scan(random.cut(bytes)).excerpt == excerpt) }
    }
  }

  @Test("Any bytes are survived, and the excerpt is strict JSON")
  func anyBytes() {
    var random = SeededRandom(seed: 7)
    let bytes = Array("\"\"\"\\{}[],:01.-eEtfnu \n".utf8) + [0x00, 0x7F, 0x80, 0xC3, 0xFF]
    let parser = JSONParser()
    for (text, _) in Self.whole + Self.damaged {
      for _ in 0..<200 {
        var changed = Array(text.utf8)
        for _ in 0..<3 where !changed.isEmpty {
          changed[Int.random(in: changed.indices, using: &random)] = bytes.randomElement(using: &random)!
        }
        var scanner = JSONScanner(paths)
        scanner.scan(changed.span.bytes)
        #expect(parser.parse(scanner.excerpt.span.bytes) { $0.isObject } == true, "\(changed)")
        // What a strict parser reads is whole.
        if parser.parse(changed.span.bytes, { $0.isObject }) == true { #expect(scanner.extent == .whole, "\(changed)") }
      }
    }
  }

  @Test("Memory does not depend on the text: long strings and arrays are cut, depth is counted")
  func bounded() {
    var scanner = JSONScanner(paths)
    func push(_ text: String) { scanner.scan(Array(text.utf8).span.bytes) }
    push(#"{"image":""#)
    let block = String(repeating: "A", count: 1 << 16)
    for _ in 0..<64 { push(block) }
    push(#"","user":""#)
    push(block)
    push(#"","prompt":["#)
    for _ in 0..<(2 * JSONScanner.keptElements) { push("1,") }
    push(#"2],"deep":"#)
    push(String(repeating: "[", count: 500) + String(repeating: "]", count: 500))
    push(#","model":"m"}"#)
    #expect(scanner.extent == .whole)
    #expect(scanner.excerpt.count < JSONScanner.keptBytes + 2 * JSONScanner.keptElements + 64)
    #expect(String(decoding: scanner.excerpt, as: UTF8.self).hasPrefix(#"{"model":"m","user":"AAAA"#))
  }

  @Test("Nesting beyond the bound counts as damage")
  func tooDeep() {
    let depth = JSONScanner.keptLevels + 10
    let text =
      #"{"model":"m","deep":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
      + #","user":"u"}"#
    let found = scan(text)
    #expect(found.excerpt == #"{"model":"m","user":"u"}"#)
    #expect(found.extent == .partly)
  }
}
