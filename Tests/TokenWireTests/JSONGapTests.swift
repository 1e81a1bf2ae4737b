// That JSONGap passes over only what the JSON parser accepts, and counts scalars as the parser does.
import JSON
import TestSupport
import Testing

@testable import TokenWire

/// What the scan says of `inside` followed by a quote.
private func scan(_ inside: [UInt8], _ behind: [UInt8] = [0x22]) -> (end: Int, scalars: Int)? {
  let bytes = inside + behind
  return bytes.withUnsafeBytes { raw in
    raw.baseAddress.flatMap { JSONGap.string($0, from: 0, raw.count) }
  }
}

/// The scalars that the JSON parser finds in the string whose inside is `inside`; nil where it refuses.
private func parsed(_ inside: [UInt8]) -> Int? {
  let text = [0x22] + inside + [0x22]
  return JSONParser().parse(text.span.bytes) { $0.scalarCount } ?? nil
}

@Suite("JSONGap: strings")
struct JSONGapStringTests {
  @Test(
    "Plain text, UTF-8 and escapes are run over and counted",
    arguments: [
      ("", 0), ("a", 1), ("12345678", 8), ("123456789abcdefg", 16), ("é€😀", 3), ("\\n", 1), (#"\"\\\/\b\f\n\r\t"#, 8),
      ("1234567é9", 9), (" \u{7F}", 2), (#"\u00e9"#, 1), (#"a\u4F60\u0000\ud7ff\uE000b"#, 6),
    ])
  func takes(text: String, scalars: Int) {
    let inside = Array(text.utf8)
    let found = scan(inside, Array("\"tail".utf8))
    #expect(found?.end == inside.count && found?.scalars == scalars)
    #expect(parsed(inside) == scalars)
  }

  @Test(
    "Halves of pairs and what is malformed are left to the parser",
    arguments: [
      [0x1F], [0x00], [0x0A], Array("1234567\u{1}".utf8), Array(#"\x"#.utf8), Array(#"\u12G4"#.utf8),
      Array(#"\ud800"#.utf8), Array(#"\uDFFF"#.utf8),
      Array(#"\ud800\u0041"#.utf8), Array(#"\udc00"#.utf8), Array(#"\u12"#.utf8), [0x80], [0xC0, 0xAF], [0xC1, 0xBF],
      [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
      [0xF5, 0x80, 0x80, 0x80],
      [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28], [0xE2, 0x28, 0xA1],
    ] as [[UInt8]])
  func refuses(inside: [UInt8]) {
    #expect(scan(inside)?.end != inside.count)
  }

  @Test("A string that does not end inside the bytes has no end")
  func unended() {
    for text in ["", "a", "12345678", "1234567\\", "\\", "é"] { #expect(scan(Array(text.utf8), [])?.end == nil) }
    #expect(scan(Array("1234567\\".utf8), [0x22])?.end == nil)
  }

  @Test("On random bytes it takes nothing that the parser refuses, and counts the same")
  func agreesWithTheParser() {
    var random = SeededRandom(seed: 7)
    let pieces: [[UInt8]] = [
      [0x61], Array("hello wo".utf8), [0x22], [0x5C], [0x75], Array("\\u0041".utf8), Array("\\ud83d".utf8),
      Array("\\ude00".utf8), [0xC3], [0xA9], [0xE2, 0x82, 0xAC], [0xF0], [0x9F], [0x98, 0x80], [0x1F], [0x7F],
      [0xED, 0xA0],
    ]
    var taken = 0
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...6, using: &random)
      let inside = (0..<count).flatMap { _ in pieces.randomElement(using: &random) ?? [] }
      guard let found = scan(inside), found.end == inside.count else { continue }
      taken += 1
      #expect(parsed(inside) == found.scalars, "\(inside)")
    }
    #expect(taken > 1000)
  }
}

@Suite("JSONGap: numbers")
struct JSONGapNumberTests {
  private func end(_ text: String) -> Int {
    Array(text.utf8).withUnsafeBytes { raw in
      raw.baseAddress.map { JSONGap.numberEnd($0, from: 0, raw.count) } ?? 0
    }
  }

  @Test(
    "Whole numbers of at most 18 digits and decimals are numbers",
    arguments: [
      "0", "7", "10", "-1", "-0", "0.5", "12.0345", "-0.001", "123456789012345678", "1.1234567890123456789012",
      "1e-5", "-2.5E-07", "123456789012345678e-400",
    ])
  func takes(text: String) {
    for behind in ["", ",", "}", " ", "]"] { #expect(end(text + behind) == text.utf8.count) }
    #expect(JSONParser().parse(Array(text.utf8).span.bytes) { $0.double } != nil)
  }

  @Test(
    "Anything else is left to the parser",
    arguments: [
      "", "-", "01", "-01", ".5", "1.", "1.}", "1e5", "1E5", "1e+5", "1.5e", "1.5e-", "1e-x", "x", "\"1\"",
      "1234567890123456789", "+1",
    ])
  func refuses(text: String) {
    #expect(end(text) == 0)
  }
}
