// What JSONValue says of values of each type.
import JSON
import Testing

/// Parses a text that must be accepted, and calls `body` with its root.
private func read(_ text: String, _ body: (JSONValue) -> Void) {
  #expect(parse(text) { body($0) } != nil)
}

@Suite("JSONValue")
struct JSONValueTests {
  @Test("Each accessor answers for its own type alone")
  func types() {
    let text = #"{"s":"é","i":-3,"u":18446744073709551615,"d":1.5,"b":false,"n":null,"a":[1,2],"o":{"x":1}}"#
    read(text) { root in
      #expect(root.isObject && root.count == 8)
      #expect(root["s"]?.string == "é" && root["s"]?.utf8Count == 2 && root["s"]?.int == nil)
      #expect(root["i"]?.int == -3 && root["i"]?.double == -3 && root["i"]?.string == nil)
      #expect(root["u"]?.int == nil)
      #expect(root["d"]?.double == 1.5 && root["d"]?.int == nil)
      #expect(root["b"]?.bool == false && root["b"]?.int == nil)
      #expect(root["n"]?.isNull == true && root["n"]?.bool == nil)
      #expect(root["a"]?.isArray == true && root["a"]?.count == 2)
      #expect(root["o"]?["x"]?.int == 1)
      #expect(root["missing"] == nil && root["s"]?["x"] == nil)
    }
  }

  @Test("A null member is there, but not present")
  func present() {
    read(#"{"a":null,"b":0}"#) { root in
      #expect(root["a"] != nil)
      #expect(root.present("a") == nil)
      #expect(root.present("b") != nil)
    }
  }

  @Test("Of a key that stands twice, the last member counts")
  func duplicateKeys() {
    read(#"{"a":1,"b":2,"a":3}"#) { root in #expect(root["a"]?.int == 3 && root.count == 3) }
  }

  @Test("Elements come in order; a value that is no array has none")
  func elements() {
    read("[3,1,2]") { root in
      var seen: [Int] = []
      root.forEachElement { seen.append($0.int ?? 0) }
      #expect(seen == [3, 1, 2])
    }
    read(#"{"a":1}"#) { root in root.forEachElement { _ in Issue.record("no array") } }
  }

  @Test(
    "Scalars are counted, not bytes and not characters",
    arguments: [("", 0), ("a", 1), ("é", 1), ("e\u{301}", 2), ("你好", 2), ("👨‍👩‍👧", 5), ("\u{FFFD}", 1)])
  func scalars(text: String, count: Int) {
    #expect(parse("\"\(text)\"") { $0.scalarCount } == count)
  }

  @Test("A string equals itself alone")
  func equality() {
    read(#"["ab",1]"#) { root in
      var equal: [Bool] = []
      root.forEachElement { equal.append($0.equals("ab")) }
      #expect(equal == [true, false])
    }
  }

  @Test("The compact form's scalars leave white space out")
  func compact() {
    #expect(parse(#"{ "a" : [ 1, "é" ] }"#) { $0.compactScalarCount } == 13)
  }
}
