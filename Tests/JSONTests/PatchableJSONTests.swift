// A kept text says what the parser says of the same text with the same numbers.
// It must not know what the texts mean.
import Testing

@testable import JSON

@Suite("PatchableJSON")
struct PatchableJSONTests {
  /// Everything that a value says, in order.
  private func told(_ value: JSONValue) -> String {
    var said = value.string ?? value.double.map { "\($0) \(value.int.map(String.init) ?? "-")" } ?? "?"
    value.forEachElement { said += "[" + told($0) }
    value.forEachMember { said += "{" + told($0) + ":" + told($1) }
    return said
  }

  private func kept(_ text: [UInt8]) -> PatchableJSON? { PatchableJSON(text.span.bytes) }

  @Test("Numbers are found in the order in which they stand, and filled in where they stand")
  func fills() throws {
    func text(_ n: [UInt64]) -> [UInt8] {
      Array(#"{"a":\#(n[0]),"b":{"c":[\#(n[1]),"x",{"d":\#(n[2])}],"a":\#(n[3])},"e":null,"f":\#(n[4])}"#.utf8)
    }
    let form = try #require(kept(text([1, 2, 3, 4, 5])))
    #expect(form.numbers.count == 5)
    for numbers in [[0, 7, 7, 7, 7], [10, 20, 30, 40, 50], [999_999_999_999_999_999, 0, 1, 0, 8]] as [[UInt64]] {
      for (number, value) in zip(form.numbers, numbers) { number.patch(value) }
      let parsed = JSONParser().parse(text(numbers).span.bytes) { told($0) }
      #expect(told(form.root) == parsed)
    }
  }

  @Test("Any number can be another, a real one too; what is no JSON has no form")
  func kinds() throws {
    let form = try #require(kept(Array("[1.5,-2,3e4]".utf8)))
    for number in form.numbers { number.patch(6) }
    #expect(told(form.root) == "?[6.0 6[6.0 6[6.0 6")
    for text in ["", "{", "[1,]", "1 2", "[01]"] { #expect(kept(Array(text.utf8)) == nil) }
  }

  @Test("However deep a text is, no stack is", arguments: [("{\"a\":", "}"), ("[1,", "]")])
  func deep(open: String, close: String) throws {
    let depth = 150_000
    let text = String(repeating: open, count: depth) + "7" + String(repeating: close, count: depth)
    let form = try #require(kept(Array(text.utf8)))
    #expect(form.numbers.count == (open == "[1," ? depth + 1 : 1))
    form.numbers.last?.patch(8)
  }
}
