// Whom a request comes from behind proxies: lists, lines, ports, and what nobody can read.
import HTTP
import HTTP1
import TestSupport
import Testing

@testable import Proxy

@Suite("X-Forwarded-For")
struct ForwardedForTests {
  private static func client(_ lines: [String], behind peer: String = "10.0.0.1") -> String {
    client(lines, behind: peer) { $0.hasPrefix("10.") || $0 == "fd00::1" }
  }

  private static func client(_ lines: [String], behind peer: String, isTrusted: (String) -> Bool) -> String {
    let head = lines.map { "X-Forwarded-For: \($0)\r\n" }.joined()
    let parser = MessageParser(.request, limits: .test())
    _ = parser.parse(Array(get("/", head).utf8).span.bytes, into: BodyRanges())
    return ForwardedFor.client(behind: peer, parser.fields, isTrusted: isTrusted)
  }

  @Test(
    "The client is the nearest that is not trusted, over all lines",
    arguments: [
      ([], "10.0.0.1"), (["1.2.3.4"], "1.2.3.4"), (["8.8.8.8", "10.0.0.9"], "8.8.8.8"),
      (["8.8.8.8, 1.2.3.4", "10.0.0.9"], "1.2.3.4"), (["1.2.3.4 ,\t10.0.0.2,10.0.0.3"], "1.2.3.4"),
      ([",1.2.3.4,, "], "1.2.3.4"), (["2001:DB8::1, fd00::1"], "2001:db8::1"),
    ])
  func nearest(lines: [String], client: String) { #expect(Self.client(lines) == client) }

  @Test("Where all are trusted it is the farthest")
  func trusted() { #expect(Self.client(["10.1.1.1, 10.0.0.2"]) == "10.1.1.1") }

  @Test("A peer that is not trusted speaks for nobody")
  func untrusted() { #expect(Self.client(["1.2.3.4"], behind: "9.9.9.9") == "9.9.9.9") }

  @Test("Of a list that goes on for ever only the last hops are read, and none where the peer is not trusted")
  func endless() {
    let line = (0..<4_000).map { "10.0.\($0 / 256).\($0 % 256)" }.joined(separator: ",")
    var asked = 0
    let found = Self.client([line], behind: "10.9.9.9") { _ in
      asked += 1
      return true
    }
    #expect(found == "10.0.15.128" && asked == ForwardedFor.maxHops + 1)
    asked = 0
    let peer = Self.client([line], behind: "9.9.9.9") { _ in
      asked += 1
      return false
    }
    #expect(peer == "9.9.9.9" && asked == 1)
  }

  @Test("An element too long for an address is none")
  func overlong() {
    #expect(Self.client(["1.2.3.4, 10.0.0.5, " + String(repeating: "0", count: 30_000)]) == "10.0.0.1")
  }

  @Test(
    "What cannot be read ends the list",
    arguments: [
      "1.2.3.4, unknown", "1.2.3.4, _hidden", "1.2.3.4, 1.2.3", "1.2.3.4, 5.6.7.8:", "1.2.3.4, 5.6.7.8:70000",
      "1.2.3.4, [::1", "1.2.3.4, [::1]x", "1.2.3.4, [5.6.7.8]", "1.2.3.4, \"5.6.7.8\"", "1.2.3.4, host.example",
    ])
  func unreadable(line: String) {
    #expect(Self.client([line]) == "10.0.0.1")
    #expect(Self.client([line + ", 10.0.0.7"]) == "10.0.0.7")
  }

  @Test(
    "A port is left out",
    arguments: [
      ("1.2.3.4:567", "1.2.3.4"), ("[2001:db8::1]", "2001:db8::1"), ("[2001:db8::1]:443", "2001:db8::1"),
      ("2001:db8::1", "2001:db8::1"),
    ])
  func ports(hop: String, client: String) { #expect(Self.client([hop]) == client) }
}
