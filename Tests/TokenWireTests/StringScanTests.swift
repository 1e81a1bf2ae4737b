// That StringScan takes only what the JSON parser takes, and counts as it does.
// It must not know templates.
import JSON
import Testing

@testable import TokenWire

/// What the scan says of `inside` followed by a quote.
private func scan(_ inside: [UInt8], _ behind: [UInt8] = [0x22]) -> StringScan? {
  let bytes = inside + behind
  return bytes.withUnsafeBytes { raw in
    raw.baseAddress.flatMap { StringScan($0, from: 0, limit: raw.count) }
  }
}

/// The scalars that the JSON parser finds in the string whose inside is `inside`; nil where it refuses.
private func parsed(_ inside: [UInt8]) -> Int? {
  let text = [0x22] + inside + [0x22]
  return JSONParser().parse(text.span.bytes) { $0.scalarCount } ?? nil
}

@Suite("StringScan")
struct StringScanTests {
  @Test(
    "Plain text, UTF-8 and escapes are run over and counted",
    arguments: [
      ("", 0), ("a", 1), ("12345678", 8), ("123456789abcdefg", 16), ("é€😀", 3), ("\\n", 1), (#"\"\\\/\b\f\n\r\t"#, 8),
      (#"\u00e9\uD83D\uDE00x"#, 3), ("1234567é9", 9), (" \u{7F}", 2),
    ])
  func takes(text: String, scalars: Int) {
    let inside = Array(text.utf8)
    let found = scan(inside, Array("\"tail".utf8))
    #expect(found?.end == inside.count && found?.scalars == scalars)
    #expect(parsed(inside) == scalars)
  }

  @Test(
    "What is not plain is left to the parser",
    arguments: [
      [0x1F], [0x00], [0x0A], Array("1234567\u{1}".utf8), Array(#"\x"#.utf8), Array(#"\u12G4"#.utf8),
      Array(#"\ud800"#.utf8),
      Array(#"\ud800\u0041"#.utf8), Array(#"\udc00"#.utf8), Array(#"\u12"#.utf8), [0x80], [0xC0, 0xAF], [0xC1, 0xBF],
      [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
      [0xF5, 0x80, 0x80, 0x80],
      [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28], [0xE2, 0x28, 0xA1],
    ] as [[UInt8]])
  func refuses(inside: [UInt8]) {
    #expect(scan(inside) == nil)
  }

  @Test("A string that does not end inside the bytes has no end")
  func unended() {
    for text in ["", "a", "12345678", "1234567\\", "\\", "é"] { #expect(scan(Array(text.utf8), []) == nil) }
    #expect(scan(Array("1234567\\".utf8), [0x22]) == nil)
  }

  @Test("On random bytes it takes nothing that the parser refuses, and counts the same")
  func agreesWithTheParser() {
    var random = SplitMix(seed: 7)
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

@Suite("WholeNumber")
struct WholeNumberTests {
  @Test("Digits up to eighteen are a number wherever the bytes end, without a zero before them")
  func lengths() {
    let digits = Array("123456789012345678901234".utf8)
    for behind: [UInt8] in [
      [], [0x2C], [0x2F], [0x3A], [0x00], [0xB5], Array("}}}}}}}}}}".utf8), Array(":/:/:/:/:".utf8),
    ] {
      for first: UInt8 in [0x31, 0x30] {
        for count in 0...24 {
          let bytes = ([first] + digits).prefix(count) + behind
          let expected = count == 0 || count > 18 || (first == 0x30 && count > 1) ? 0 : count
          let value = expected == 0 ? 0 : bytes.prefix(count).reduce(0 as UInt64) { $0 * 10 + UInt64($1 - 0x30) }
          Array(bytes).withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return }
            #expect(WholeNumber.length(base, from: 0, limit: raw.count) == expected)
            let read = WholeNumber.read(base, from: 0, limit: raw.count)
            #expect(read.length == expected && (expected == 0 || read.value == value))
          }
        }
      }
    }
  }
}
