// What JSONWriter and JSONDocument write, on first and on later use.
import Testing

@testable import JSON

/// What `write` leaves in a writer that has been used before and emptied.
private func written(capacity: Int = 64, _ write: (inout JSONWriter) -> Void) -> String {
  var writer = JSONWriter(capacity: capacity)
  write(&writer)
  let first = text(writer)
  writer.removeAll()
  write(&writer)
  #expect(text(writer) == first, "the second use writes something else")
  return first
}

private func text(_ writer: borrowing JSONWriter) -> String {
  writer.withBytes { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

@Suite("JSONWriter")
struct JSONWriterTests {
  @Test(
    "Strings are escaped where RFC 8259 asks for it, and nowhere else",
    arguments: [
      ("", #""""#), ("plain", #""plain""#), ("seven b", #""seven b""#), ("eight b.", #""eight b.""#),
      ("a \"quote\" and a \\", #""a \"quote\" and a \\""#),
      ("\u{8}\t\n\u{C}\r\u{0}\u{1F}", #""\b\t\n\f\r\u0000\u001f""#),
      ("é€😀\u{7F}\u{2028}", "\"é€😀\u{7F}\u{2028}\""),
      ("long enough to be copied by words, then \n", #""long enough to be copied by words, then \n""#),
    ])
  func strings(string: String, expected: String) {
    #expect(written { $0.string(string) } == expected)
    #expect(parse(expected) { $0.string } == string)
  }

  @Test(
    "For a terminal every character is escaped on which it would act",
    arguments: [
      ("plain \"é\" \\", #""plain \"é\" \\""#), ("\u{1B}[31m\t", #""\u001b[31m\t""#),
      ("\u{7F}\u{9B}", #""\u007f\u009b""#),
      ("a\u{202E}b\u{2028}", #""a\u202eb\u2028""#), ("\u{E0001}", #""\udb40\udc01""#),
    ])
  func terminalSafe(string: String, expected: String) {
    #expect(written { $0.terminalSafeString(string) } == expected)
    #expect(parse(expected) { $0.string } == string)
  }

  @Test(
    "Decimals have three places at most and one at least, half away from zero",
    arguments: [
      (0, "0.0"), (-0.0, "0.0"), (12, "12.0"), (12.5, "12.5"), (0.0005, "0.001"), (-0.0005, "-0.001"),
      (1.2345, "1.235"),
      (0.05, "0.05"), (1e15, "1000000000000000.0"), (1e16, "null"), (.infinity, "null"), (-.nan, "null"),
    ] as [(Double, String)])
  func decimals(value: Double, expected: String) {
    #expect(written { $0.decimal(value) } == expected)
    // The second of two equal ones is copied.
    #expect(written { for _ in 0..<3 { $0.decimal(value) } } == expected + expected + expected)
  }

  @Test(
    "A number in full reads as the same number again",
    arguments: [0, 0.1, -1.5, 1e300, .leastNonzeroMagnitude, 12345678.9, 100])
  func doubles(value: Double) {
    #expect(parse(written { $0.double(value) }) { $0.double } == value)
    #expect(written { $0.double(.nan) } == "null")
  }

  @Test("Whole numbers of every length", arguments: [0, 9, 10, 99, 100, 999, 1_000, 12_345, 999_999, .max, .min, -7])
  func ints(value: Int) {
    #expect(written { $0.int(value) } == "\(value)")
  }

  @Test("A timestamp is of its own second, whatever was written before")
  func timestamps() {
    let second: Int64 = 1_763_688_000_000_000_000
    let two = written { writer in
      writer.timestamp(realtimeNanoseconds: second + 1_999)
      writer.timestamp(realtimeNanoseconds: second + 999_999_999)
      writer.timestamp(realtimeNanoseconds: second + 1_000_000_000)
    }
    #expect(
      two == #""2025-11-21T01:20:00.000001Z""2025-11-21T01:20:00.999999Z""2025-11-21T01:20:01.000000Z""#)
    #expect(written { $0.timestamp(realtimeNanoseconds: -1) } == #""1969-12-31T23:59:59.999999Z""#)
  }

  @Test("What was written before it was emptied is not repeated")
  func secondUse() {
    var writer = JSONWriter(capacity: 64)
    writer.decimal(1.5)
    writer.timestamp(realtimeNanoseconds: 0)
    writer.removeAll()
    writer.raw("[x,")
    writer.decimal(1.5)
    writer.raw(",")
    writer.timestamp(realtimeNanoseconds: 0)
    #expect(text(writer) == #"[x,1.5,"1970-01-01T00:00:00.000000Z""#)
  }

  @Test("It grows as it must, and frees what it is told not to keep")
  func growth() {
    var writer = JSONWriter(capacity: 64)
    let long = String(repeating: "x", count: 10_000)
    writer.string(long)
    #expect(writer.count == 10_002 && text(writer) == "\"\(long)\"")
    writer.removeAll(keeping: 128)
    #expect(writer.capacity == 128)
    writer.member("a", 1, isFirst: true)
    writer.member("b", nil as Double?)
    #expect(text(writer) == #"{"a":1,"b":null"#)
  }
}

@Suite("JSONDocument")
struct JSONDocumentTests {
  @Test("What has no others in it stands on one line, everything else a member a line")
  func layout() {
    let document = JSONDocument.object([
      ("flat", .object([("a", .int(1)), ("b", .optional(nil as Int?))])),
      ("list", .array([.double(0.5), .bool(true)])),
      ("empty", .array([])), ("deep", .array([.object([("x", .array([.string("\u{7}")]))])])),
    ])
    #expect(
      document.text == #"""
        {
          "flat": {"a": 1, "b": null},
          "list": [0.5, true],
          "empty": [],
          "deep": [
            {
              "x": ["\u0007"]
            }
          ]
        }
        """#)
    #expect(JSONDocument.object([]).text == "{}" && JSONDocument.double(.infinity).text == "null")
  }
}
