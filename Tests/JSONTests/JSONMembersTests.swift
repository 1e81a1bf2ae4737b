// Members looked up in the order expected, in any other, and not at all.
import Testing

@testable import JSON

@Suite("Members in order")
struct JSONMembersTests {
  private func look<Result>(_ text: String, _ body: (inout JSONMembers?) -> Result) -> Result? {
    JSONParser().parse(Array(text.utf8).span.bytes) { root in
      var members = root.members
      return body(&members)
    }
  }

  @Test("Keys are found in order, out of order and again, past keys that are not asked for")
  func order() {
    let found = look(#"{"a":1,"b":2,"c":null,"d":4}"#) { members in
      ["b", "d", "a", "d", "c", "e", "a"].map { (key: String) -> Int? in
        switch key {
        case "a": members?.present("a")?.int
        case "b": members?.present("b")?.int
        case "c": members?.present("c")?.int
        case "d": members?.present("d")?.int
        default: members?.present("e")?.int
        }
      }
    }
    #expect(found == [2, 4, 1, 4, nil, nil, 1])
  }

  @Test("What is no object has no members, an empty one has none to find")
  func none() {
    #expect(look("[1]") { $0 == nil } == true)
    #expect(look("{}") { $0?.present("a") == nil } == true)
  }

  @Test("A string is compared as decoded, and only strings are equal to one")
  func equality() {
    #expect(look(#"{"a":"o\u006b"}"#) { $0?.present("a")?.equals("ok") } == true)
    #expect(look(#"{"a":"okay"}"#) { $0?.present("a")?.equals("ok") } == false)
    #expect(look(#"{"a":7}"#) { $0?.present("a")?.equals("7") } == false)
  }
}
