// Hosts as clients write them, and status phrases.
import HTTP
import Testing

@Suite("Authority")
struct AuthorityTests {
  @Test(
    "A name or a literal address, with a port or none, is an authority",
    arguments: [
      "a", "a:", "a:0", "a:65535", "A-b_c~d.e.", "127.0.0.1:80", "[::]", "[::1]", "[1:2:3:4:5:6:7:8]", "[1::8]",
      "[1:2:3:4:5:6:1.2.3.4]", "[::255.255.255.255]:1",
    ])
  func valid(text: String) { #expect(Authority.isValid(Array(text.utf8)[...])) }

  @Test(
    "Anything else is none",
    arguments: [
      "", ":80", "a:65536", "a:000080", "a:+1", "u@a", "a/b", "a b", "a%62", "a,b", "[", "[]", "[::1", "[::1]80",
      "[:1]", "[1:]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[1:2:3:4:5:6:7::8]", "[12345::]",
      "[::1.2.3]", "[::1.2.3.256]", "[::1.2.3.4:5]", "[1:2:3:4:5:6:7:1.2.3.4]", "[fe80::1%eth0]", "[::g]",
    ])
  func invalid(text: String) { #expect(!Authority.isValid(Array(text.utf8)[...])) }
}

@Suite("Reason phrases")
struct ReasonPhraseTests {
  @Test("A status of the registry has its phrase, another has none")
  func phrases() {
    #expect(ReasonPhrase.standard(for: 200)?.description == "OK")
    #expect(ReasonPhrase.standard(for: 431)?.description == "Request Header Fields Too Large")
    #expect(ReasonPhrase.standard(for: 508)?.description == "Loop Detected")
    for status in [0, 199, 299, 418, 499, 599, 600] { #expect(ReasonPhrase.standard(for: status) == nil) }
  }
}
