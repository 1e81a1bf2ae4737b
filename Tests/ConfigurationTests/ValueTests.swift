// That each kind of value is read exactly, and refused where it is not one.
// It must not know where values come from.
import SettingValues
import Testing

@testable import Configuration

@Suite("Values")
struct ValueTests {
  @Test(
    "An upstream is a host and a port",
    arguments: [
      ("http://127.0.0.1:8000", "127.0.0.1:8000"), ("http://llm", "llm:80"), ("HTTP://a-b.c_d:1/", "a-b.c_d:1"),
      ("http://[::1]:8000", "[::1]:8000"), ("http://[::1]", "[::1]:80"),
    ])
  func upstream(url: String, expected: String) throws {
    #expect(try UpstreamAddress.parse(url).description == expected)
  }

  @Test(
    "What is no http URL of a host alone is refused",
    arguments: [
      "", "llm:8000", "https://llm", "http://", "http://:80", "http://a:0", "http://a:65536", "http://a:x",
      "http://a/v1",
      "http://a?b", "http://a#b", "http://u@a", "http://a b", "http://[::1", "http://[a]", "http://::1", "ftp://a",
      "http://a:+1",
    ])
  func notUpstream(url: String) {
    #expect(throws: InvalidValue.self) { try UpstreamAddress.parse(url) }
  }

  @Test(
    "A URL that looks right says what is wrong with it",
    arguments: [
      ("https://llm", "not supported yet"), ("http://u:p@llm", "has a user name"), ("http://llm/v1", "has a path"),
      ("llm:8000", "expected a URL"),
    ])
  func almostUpstream(url: String, what: String) throws {
    let error = try #require(throws: InvalidValue.self) { try UpstreamAddress.parse(url) }
    #expect(error.what.contains(what))
  }

  @Test(
    "Counts are whole numbers within their range",
    arguments: [("2", 2), ("10", 10), ("1", nil), ("11", nil), ("3.0", nil), ("", nil)] as [(String, Int?)])
  func counts(text: String, expected: Int?) {
    #expect((try? Codec<Int>.count(2...10).read(.one(Scalar(text)))) == expected)
  }

  @Test("Text is one line", arguments: ["a\nb", "a\u{0}", "\u{1B}[31m", ""])
  func notText(text: String) {
    #expect(throws: InvalidValue.self) { try Codec<String>.text.read(.one(Scalar(text))) }
  }

  @Test("Protocols for tunnels are names, and never h2c")
  func protocols() throws {
    let codec = Codec<[String]>.protocols
    #expect(try codec.read(.one(Scalar("WebSocket, x"))) == ["websocket", "x"])
    #expect(throws: InvalidValue.self) { try codec.read(.one(Scalar("websocket, H2C"))) }
  }

  @Test(
    "Where to listen is an address and a port",
    arguments: [
      ("127.0.0.1:4141", "127.0.0.1:4141"), ("0.0.0.0:0", "0.0.0.0:0"), ("[::1]:5", "[::1]:5"),
      ("localhost:1", "127.0.0.1:1"),
    ])
  func listen(text: String, expected: String) throws {
    #expect(try ListenAddress.parse(text).description == expected)
  }

  @Test(
    "No place to listen", arguments: ["", ":4141", "4141", "127.0.0.1", "host:1", "::1:5", "[::1]", "1.2.3.4:99999"])
  func notListen(text: String) {
    #expect(throws: InvalidValue.self) { try ListenAddress.parse(text) }
  }

  @Test(
    "The admin listener is an address, or a port of this machine only",
    arguments: [
      ("4142", "127.0.0.1:4142", true), (":4142", "127.0.0.1:4142", true), ("0", "127.0.0.1:0", true),
      ("0.0.0.0:1", "0.0.0.0:1", false), ("[::1]:5", "[::1]:5", true), ("localhost:1", "127.0.0.1:1", true),
      ("127.9.9.9:1", "127.9.9.9:1", true), ("10.0.0.1:1", "10.0.0.1:1", false), ("[::]:1", "[::]:1", false),
    ])
  func localAddress(text: String, expected: String, isLoopback: Bool) throws {
    let address = try Codec<ListenAddress>.localAddress.read(.one(Scalar(text)))
    #expect(address.description == expected)
    #expect(address.isLoopback == isLoopback)
  }

  @Test("No place for the admin listener", arguments: ["", ":", "99999", "host:1", "127.0.0.1", "4142x"])
  func notLocalAddress(text: String) {
    #expect(throws: InvalidValue.self) { try Codec<ListenAddress>.localAddress.read(.one(Scalar(text))) }
  }

  @Test(
    "An address is in a range or not",
    arguments: [
      ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("10.1.2.3/8", "10.9.9.9", true),
      ("127.0.0.1", "127.0.0.1", true), ("127.0.0.1", "127.0.0.2", false), ("192.168.4.0/23", "192.168.5.9", true),
      ("192.168.4.0/23", "192.168.6.0", false), ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false),
      ("::1/128", "::1", true), ("fd00::/8", "fd12::3", true), ("fd00::/8", "fe00::", false),
      ("10.0.0.0/8", "::ffff:10.0.0.1", true), ("10.0.0.0/8", "no address", false),
    ])
  func ranges(range: String, address: String, isInside: Bool) throws {
    #expect(try AddressRange.parse(range).contains(address) == isInside)
  }

  @Test("No range", arguments: ["", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0/8", "10.0.0.0/", "host/8"])
  func notRange(text: String) {
    #expect(throws: InvalidValue.self) { try AddressRange.parse(text) }
  }

  @Test(
    "Sizes have powers of 1,024",
    arguments: [
      ("1024", 1024), ("64KiB", 65536), ("1 MiB", 1 << 20), ("2048B", 2048), ("3mib", 3 << 20), ("64KB", nil),
      ("-1", nil),
      ("1.5MiB", nil), ("KiB", nil), ("99999999999999999999", nil), ("9223372036854775807GiB", nil),
      ("17179869185GiB", nil),
      ("12", nil),
    ] as [(String, Int?)])
  func sizes(text: String, expected: Int?) {
    let codec = Codec<Int>.size(1024...1 << 40)
    #expect((try? codec.read(.one(Scalar(text)))) == expected)
  }

  @Test(
    "Durations have a unit",
    arguments: [
      ("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("10", nil), ("0s", nil), ("1.5s", nil),
      ("s", nil),
      ("-1s", nil), ("10 s", 10_000),
    ] as [(String, Int?)])
  func durations(text: String, expected: Int?) {
    #expect((try? Codec<Duration>.duration.read(.one(Scalar(text))))?.wholeMilliseconds == expected)
  }

  @Test("A quantity is written in the largest unit that loses nothing")
  func writing() {
    #expect(written(65536, in: Unit.sizes) == "64KiB")
    #expect(written(65537, in: Unit.sizes) == "65537B")
    #expect(written(0, in: Unit.sizes) == "0B")
    #expect(written(90_000, in: Unit.durations) == "90s")
    #expect(written(120_000, in: Unit.durations) == "2m")
  }

  @Test("Edit distance counts letters added, taken away and changed")
  func distances() {
    #expect(editDistance("", "abc", atMost: 3) == 3)
    #expect(editDistance("queue", "queue", atMost: 0) == 0)
    #expect(editDistance("kitten", "sitting", atMost: 3) == 3)
    #expect(editDistance("kitten", "sitting", atMost: 2) == nil)
  }

  @Test("The host name is not empty")
  func hostName() {
    #expect(!HostName.current.isEmpty)
  }
}
