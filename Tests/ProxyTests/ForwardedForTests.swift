// Whom a request comes from behind proxies: lists, lines, ports, and what nobody can read.
import Testing

@testable import Proxy

@Suite("X-Forwarded-For")
struct ForwardedForTests {
  private static func client(_ lines: [String], behind peer: String = "10.0.0.1") -> String {
    ForwardedFor.client(behind: peer, lines) { $0.hasPrefix("10.") || $0 == "fd00::1" }
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
