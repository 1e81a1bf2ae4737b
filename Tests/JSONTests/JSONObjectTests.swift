// That JSONObject finds the members that looking up each key finds, and which parts of a text it leaves unread.
import TestSupport
import Testing

@testable import JSON

/// Names of all lengths that the table treats differently: short, of one word, of two, longer, alike but for the middle.
private enum Key: String, JSONKey {
  case a
  case index, object
  case sevenAB = "seven_b"
  case eightABC = "eight_bc"
  case reasoningContent = "reasoning_content"
  case reasoningDetails = "reasoning_details"
  case longOne = "prompt_tokens_details_one"
  case longTwo = "prompt_tokens_details_two"
  case middleA = "first_8_a_middle_last_8_"
  case middleB = "first_8_b_middle_last_8_"
  static let table = JSONKeys<Key>()

  /// A name that is none of these, and like this one.
  var near: String { rawValue.dropLast() + "~" }
}

private enum OneKey: String, JSONKey {
  case only
  static let table = JSONKeys<OneKey>()
}

@Suite("JSONObject")
struct JSONObjectTests {
  @Test("Every key is found, and none that is only like it")
  func everyKey() {
    for key in Key.allCases {
      let found = parse("{\"\(key.near)\":0,\"\(key.rawValue)\":1,\"\(key.rawValue)x\":2}") { root in
        let object = JSONObject<Key>(root)
        return Key.allCases.map { object[$0]?.int }
      }
      #expect(found == Key.allCases.map { $0 == key ? 1 : nil }, "\(key)")
    }
    #expect(parse(#"{"x":1,"only":2}"#) { JSONObject<OneKey>($0)[.only]?.int } == 2)
  }

  @Test("Keys are compared as decoded, the last of two counts, null is there but not present")
  func decoding() {
    let text = #"{"a":2,"\u0061":1,"index":3,"index":null,"object":{"a":[1,{"a":5}],"object":6},"seven_b":7}"#
    parse(text) { root in
      let object = JSONObject<Key>(root)
      #expect(object[.a]?.int == 1 && object[.index]?.isNull == true && object.present(.index) == nil)
      #expect(object.present(.sevenAB)?.int == 7)
      let inner = JSONObject<Key>(object[.object])
      #expect(inner[.object]?.int == 6 && inner[.a]?.count == 2)
    }
  }

  @Test("What is no object has no members", arguments: ["[1]", "1", "\"a\"", "null", "{}"])
  func none(text: String) {
    parse(text) { root in
      let object = JSONObject<Key>(root)
      #expect(Key.allCases.allSatisfy { object[$0] == nil })
    }
    #expect(JSONObject<Key>(nil)[.a] == nil)
  }

  @Test("Objects made at random have the members that looking up each key finds")
  func random() {
    var random = SeededRandom(seed: 31)
    let names =
      Key.allCases.map(\.rawValue) + Key.allCases.map(\.near) + ["", "b", "x\u{0}", "ключ", "\\u0061", "indey"]
    for _ in 0..<2_000 {
      let members = (0..<Int.random(in: 0...14, using: &random)).map { index in
        let inside = ["\(index)", "[1,2]", "{\"a\":\(index)}", "\"s\"", "null"].randomElement(using: &random) ?? ""
        let name = (names.randomElement(using: &random) ?? "").replacing("\u{0}", with: "\\u0000")
        return "\"\(name)\":\(inside)"
      }
      let text = "{\(members.joined(separator: ","))}"
      parse(text) { root in
        let object = JSONObject<Key>(root)
        for key in Key.allCases {
          let expected = self.lookUp(key, root)
          #expect(object[key]?.value == expected?.value, "\(key) in \(text)")
        }
      }
    }
  }

  private func lookUp(_ key: Key, _ root: JSONValue) -> JSONValue? {
    switch key {
    case .a: root["a"]
    case .index: root["index"]
    case .object: root["object"]
    case .sevenAB: root["seven_b"]
    case .eightABC: root["eight_bc"]
    case .reasoningContent: root["reasoning_content"]
    case .reasoningDetails: root["reasoning_details"]
    case .longOne: root["prompt_tokens_details_one"]
    case .longTwo: root["prompt_tokens_details_two"]
    case .middleA: root["first_8_a_middle_last_8_"]
    case .middleB: root["first_8_b_middle_last_8_"]
    }
  }
}

@Suite("Unread parts of a text")
struct UnreadJSONTests {
  /// What `read` leaves unread, in order.
  private func unread(_ text: String, retaining bytes: Int = 64 * 1024, _ read: (JSONValue) -> Void) -> [String]? {
    let utf8 = Array(text.utf8)
    return JSONParser(retainedBytes: bytes).parse(utf8.span.bytes) { root in
      read(root)
      return root.unread(of: utf8.span.bytes)?.map { "\($0.kind) \($0.offset)" }
    } ?? nil
  }

  private let text = #"{"a":"x","index":7,"object":{"a":"yy","n":1},"b":"z","c":-1.5,"d":true,"e":[1]}"#

  @Test("Strings and numbers are unread until they are asked for, and those in something are until that is")
  func members() {
    let inObject = ["string 34", "number 42"]
    let others = ["string 50", "number 57"]
    #expect(unread(text) { _ in } == ["string 6", "number 17"] + inObject + others + ["number 76"])
    #expect(unread(text) { _ = JSONObject<Key>($0) } == inObject + others + ["number 76"])
    #expect(unread(text) { _ = $0["b"] } == ["string 6", "number 17"] + inObject + ["number 57", "number 76"])
    #expect(unread(text) { _ = $0["object"] } == ["string 6", "number 17"] + inObject + others + ["number 76"])
    #expect(unread(text) { _ = $0["object"]?["n"] } == ["string 6", "number 17", "string 34"] + others + ["number 76"])
    #expect(unread(text) { _ = $0.compactScalarCount } == [])
    #expect(unread("1") { _ in } == [] && unread("{}") { _ in } == [])
  }

  @Test("Elements are unread until they are handed out, however often they were counted")
  func elements() {
    #expect(unread("[1,[2]]") { _ = $0.count } == ["number 1", "number 4"])
    #expect(unread("[1,[2]]") { $0.forEachElement { _ in } } == ["number 4"])
    #expect(unread("[1,[2]]") { _ = $0.firstElement } == ["number 4"])
    #expect(unread("[1,[2]]") { _ = $0.compactScalarCount } == [])
  }

  @Test("Where a part stands is told whatever the text is written like")
  func offsets() {
    #expect(unread(#" { "a\"" : "x\\" , "b" : [ true, null ,-1e5 ] }"#) { _ in } == ["string 12", "number 39"])
  }

  @Test("In values that are nested too deep nothing is looked for")
  func deep() {
    let text = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
    #expect(unread(text) { _ in } == nil)
  }

  @Test("A string is counted only until anything else of it is read")
  func counted() {
    func count(_ more: @escaping (JSONValue) -> Void) -> [String]? {
      unread(#"{"object":{"a":"yy"}}"#) { root in
        guard let value = JSONObject<Key>(root[("object")])[.a] else { return }
        #expect(value.scalarCount == 2)
        more(value)
      }
    }
    #expect(count { _ in } == ["countedString 16"])
    #expect(count { _ = $0.isString && $0.isNull } == ["countedString 16"])
    #expect(count { _ = $0.utf8Count } == [] && count { _ = $0.string } == [])
    #expect(count { _ = $0.equals("yy") } == [] && count { _ = $0.equals(string: "y") } == [])
  }

  @Test("Both of two members with one name count as asked for")
  func duplicates() {
    #expect(unread(#"{"a":"x","a":"y"}"#) { _ = JSONObject<Key>($0) } == [])
  }

  @Test("So it is in a text that has memory of its own")
  func large() {
    #expect(unread(text, retaining: 64) { _ = JSONObject<Key>($0) } == unread(text) { _ = JSONObject<Key>($0) })
  }
}
