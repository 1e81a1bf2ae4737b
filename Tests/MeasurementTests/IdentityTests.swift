// Who a request is from: precedence, fingerprints, trace ids and exchange ids.
import Foundation
import TestSupport
import Testing
import TokenWire

@testable import Measurement

private let secret = KeySecret(bytes: Array(0..<32))

private func freshReader() -> IdentityReader {
  let rules = IdentityRules(
    user: [
      "x-litellm-customer-id", "x-litellm-end-user-id", "x-openwebui-user-id", "helicone-user-id", "x-user-id",
    ],
    session: ["x-openwebui-chat-id", "helicone-session-id", "x-litellm-trace-id", "x-session-id"])
  return IdentityReader(rules, secret: secret)
}

extension IdentityReader {
  fileprivate mutating func read(texts: (String) -> String?) -> RequestOrigin {
    read { texts($0).map { ArraySlice($0.utf8) } }
  }
}

@Suite("Identity")
struct IdentityTests {
  @Test("Headers come before the body, the body before the key, the key before the address")
  func precedence() {
    var reader = freshReader()
    var facts = RequestFacts()
    facts.user = "from-body"
    facts.userKey = "body:metadata.user_id"
    let fields = ["x-user-id": " alice ", "authorization": "Bearer sk-1"]
    #expect(
      reader.read(texts: { fields[$0] }).identity(facts: facts, client: "10.0.0.1")
        == Identity(user: "alice", from: "header:x-user-id"))

    let keyed = reader.read(texts: { ["authorization": "Bearer sk-1"][$0] })
    #expect(
      keyed.identity(facts: facts, client: "10.0.0.1")
        == Identity(user: "from-body", from: "body:metadata.user_id"))
    #expect(keyed.identity(facts: RequestFacts(), client: "10.0.0.1")?.from == "api_key")

    facts.user = ""
    #expect(keyed.identity(facts: facts, client: "10.0.0.1")?.from == "api_key")

    let bare = reader.read(texts: { _ in nil })
    #expect(bare.identity(facts: RequestFacts(), client: "10.0.0.1") == Identity(user: "10.0.0.1", from: "client_ip"))
  }

  @Test("The first configured header that says anything wins, whatever its case in the configuration")
  func configured() {
    var reader = IdentityReader(
      IdentityRules(user: ["X-First", "X-Second"], session: ["X-Chat"]), secret: secret)
    let fields = ["x-first": "  ", "x-second": "bob", "x-chat": "c1"]
    let head = reader.read(texts: { fields[$0] })
    #expect(head.identity(facts: RequestFacts(), client: "10.0.0.1") == Identity(user: "bob", from: "header:x-second"))
    var facts = RequestFacts()
    facts.session = "body-session"
    #expect(head.session(facts: facts) == "c1")
    #expect(RequestOrigin().session(facts: facts) == "body-session")
  }

  @Test(
    "A key is a key by any of its fields, and gives the same fingerprint",
    arguments: [
      ("authorization", "Bearer sk-abc"), ("authorization", "bearer  sk-abc "), ("x-api-key", "sk-abc"),
      ("api-key", "sk-abc"), ("authorization", "sk-abc"), ("authorization", " Basic sk-abc"),
      ("authorization", "Token sk-abc"),
    ])
  func credentials(name: String, value: String) {
    var reader = freshReader()
    let identity = reader.read(texts: { $0 == name ? value : nil }).identity(facts: RequestFacts(), client: "10.0.0.1")
    // HMAC-SHA-256 of "sk-abc" under the bytes 0 to 31, by Python's hmac.
    #expect(identity == Identity(user: "key_79cab182c097", from: "api_key"))
  }

  @Test(
    "A configured header that carries a credential gives its fingerprint, as user and as session",
    arguments: [
      ("authorization", "Basic very-secret"), ("authorization", "very-secret"),
      ("Authorization", "Digest a=very-secret, b=1"),
      ("x-api-key", "very-secret"), ("api-key", "very-secret"), ("cookie", "sid=very-secret; theme=dark"),
      ("proxy-authorization", "Basic very-secret"), ("x-goog-api-key", "very-secret"), ("x-auth-token", "very-secret"),
      ("x-user-id", "bearer very-secret"), ("helicone-auth", "Bearer very-secret"),
    ])
  func credentialHeader(name: String, value: String) {
    var reader = IdentityReader(IdentityRules(user: [name], session: [name]), secret: secret)
    let head = reader.read(texts: { $0 == name.lowercased() ? value : nil })
    let user = head.identity(facts: RequestFacts(), client: "")
    #expect(
      user?.user.count == 16 && user?.user.hasPrefix("key_") == true && user?.from == "header:\(name.lowercased())")
    #expect(head.session(facts: RequestFacts())?.hasPrefix("key_") == true)
    #expect(!String(reflecting: (head.candidates, head.session)).contains("secret"))
  }

  @Test("Two cookies give two fingerprints, by all that they say")
  func cookies() {
    var reader = IdentityReader(IdentityRules(user: ["cookie"], session: []), secret: secret)
    let names = ["sid=1; theme=dark", "sid=2; theme=dark"].map { value in
      reader.read(texts: { $0 == "cookie" ? value : nil }).identity(facts: RequestFacts(), client: "")?.user
    }
    #expect(names[0] != names[1])
  }

  @Test(
    "A header that says who and is no credential is a name",
    arguments: ["x-user-id", "x-litellm-key-alias", "x-author"])
  func names(header: String) {
    var reader = IdentityReader(IdentityRules(user: [header], session: []), secret: secret)
    let head = reader.read(texts: { $0 == header ? "Basic" : nil })
    #expect(head.identity(facts: RequestFacts(), client: "")?.user == "Basic")
  }

  @Test("Where identity headers do not count, the API key does, and the body's user before it")
  func withoutHeaders() {
    var reader = freshReader()
    let fields = ["x-user-id": "alice", "x-session-id": "s", "authorization": "Bearer sk-abc"]
    let head = reader.read(texts: { fields[$0] }).withoutHeaders
    #expect(head.identity(facts: RequestFacts(), client: "c") == Identity(user: "key_79cab182c097", from: "api_key"))
    #expect(head.session(facts: RequestFacts()) == nil)
    var facts = RequestFacts()
    facts.user = "bob"
    facts.session = "body"
    #expect(head.identity(facts: facts, client: "c")?.user == "bob")
    #expect(head.session(facts: facts) == "body")
  }

  @Test(
    "What is no key is none",
    arguments: ["Basic", "Bearer", "Bearer  ", "", " ", "Digest username=\"u\", nonce=\"1\"", "Negotiate YII="])
  func noCredential(value: String) {
    var reader = freshReader()
    let identity = reader.read(texts: { $0 == "authorization" ? value : nil }).identity(
      facts: RequestFacts(), client: "10.0.0.1")
    #expect(identity?.from == "client_ip")
  }

  @Test("Keys that are the same text for Swift and not the same bytes are two keys, in either order")
  func keysAreBytes() {
    let pairs: [([UInt8], [UInt8])] = [
      (Array("k\u{e9}".utf8), Array("ke\u{301}".utf8)), ([0x6b, 0x80], [0x6b, 0x81]), ([0xff], Array("\u{fffd}".utf8)),
    ]
    for (one, other) in pairs {
      var reader = freshReader()
      func user(_ key: [UInt8]) -> String? {
        let head = reader.read { $0 == "x-api-key" ? key[...] : nil }
        return head.identity(facts: RequestFacts(), client: "")?.user
      }
      let first = user(one)
      #expect(user(other) != first)
      #expect(user(one) == first)
      reader = freshReader()
      #expect(user(other) != first)
      #expect(user(one) == first)
    }
  }

  @Test("The head keeps a fingerprint and never the key")
  func keepsNoKey() {
    var reader = freshReader()
    let head = reader.read(texts: { $0 == "authorization" ? "Bearer sk-very-secret" : nil })
    #expect(!head.candidates.isEmpty)
    #expect(!String(reflecting: (head.candidates, head.session)).contains("very-secret"))
    #expect(!String(reflecting: reader).contains("very-secret"))
  }

  @Test("Fingerprints remembered are bounded, and the same when computed again")
  func remembered() {
    var fingerprints = KeyFingerprints(secret: secret, limit: 10)
    let first = fingerprints.fingerprint(of: ArraySlice("key-0".utf8))
    for number in 0..<1_000 { _ = fingerprints.fingerprint(of: ArraySlice("key-\(number)".utf8)) }
    #expect(fingerprints.remembered <= 20)
    #expect(fingerprints.fingerprint(of: ArraySlice("key-0".utf8)) == first)
    #expect(fingerprints.fingerprint(of: ArraySlice("key-1".utf8)) != first)
  }

  @Test("Long values are cut at a scalar's boundary")
  func longValues() {
    #expect(StringLimit.capped(String(repeating: "é", count: 128)).utf8.count == 256)
    #expect(StringLimit.capped("x" + String(repeating: "é", count: 128)).utf8.count == 255)
    #expect(Identity(user: String(repeating: "u", count: 9_999), from: "x").user.utf8.count == 256)
  }

  @Test("Only a valid traceparent gives a trace id")
  func traceParent() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    #expect(TraceParent.traceID("00-\(trace)-00f067aa0ba902b7-01") == trace)
    #expect(TraceParent.traceID("cc-\(trace)-00f067aa0ba902b7-01-what-the-future-brings") == trace)
    for wrong in [
      "ff-\(trace)-00f067aa0ba902b7-01", "00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01",
      "00-\(trace)-0000000000000000-01", "00-\(trace.uppercased())-00f067aa0ba902b7-01",
      "00-\(trace)-00f067aa0ba902b7-01-more", "00-\(trace)-00f067aa0ba902b7-01.", "00-\(trace)-00f067aa0ba902b7", "",
      "cc-\(trace)-00f067aa0ba902b7-01x", "0g-\(trace)-00f067aa0ba902b7-01",
    ] {
      #expect(TraceParent.traceID(wrong) == nil, "\(wrong)")
    }
  }
}

@Suite("KeySecret")
struct KeySecretTests {
  @Test("A secret is made once, for its owner only, and is the same for everybody who loads it")
  func madeOnce() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let first = try KeySecret.load(beside: folder.path + "/records.jsonl")
    let second = try KeySecret.load(beside: folder.path + "/others.jsonl")
    #expect(
      KeyFingerprints.compute(ArraySlice("k".utf8), first) == KeyFingerprints.compute(ArraySlice("k".utf8), second))
    let path = folder.path + "/" + KeySecret.fileName
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [KeySecret.fileName])
  }

  @Test("Two folders have two secrets")
  func distinct() throws {
    let (one, two) = (try TemporaryFolder(), try TemporaryFolder())
    defer {
      one.remove()
      two.remove()
    }
    let first = try KeySecret.load(beside: one.path + "/r")
    let second = try KeySecret.load(beside: two.path + "/r")
    #expect(
      KeyFingerprints.compute(ArraySlice("k".utf8), first) != KeyFingerprints.compute(ArraySlice("k".utf8), second))
  }

  @Test("A secret that others may read, or a damaged one, is refused with what to do", arguments: [0o644, 0o640])
  func refused(mode: mode_t) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.path + "/s"
    _ = try KeySecret.load(path: path)
    chmod(path, mode)
    #expect(
      throws: KeySecretError(
        description: "the key secret \(path) is open to others: run chmod 600 \(path), or mount it with mode 0440")
    ) {
      try KeySecret.load(path: path)
    }
    chmod(path, 0o600)
    try Data("abc\n".utf8).write(to: URL(fileURLWithPath: path))
    chmod(path, 0o600)
    #expect(throws: KeySecretError.self) { try KeySecret.load(path: path) }
  }

  @Test("Without a folder to write in, the error names the file")
  func noFolder() {
    #expect {
      try KeySecret.load(path: "/nonexistent/folder/s")
    } throws: { "\($0)".contains("/nonexistent/folder/s") }
  }

  @Test("Where none can be kept, the error says so; a damaged one is another failure")
  func cannotBeKept() throws {
    let error = #expect(throws: KeySecretError.self) { try KeySecret.load(path: "/proc/s") }
    #expect(error?.cannotBeKept == true)
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = try folder.write("abc", to: "s")
    chmod(path, 0o600)
    let damaged = #expect(throws: KeySecretError.self) { try KeySecret.load(path: path) }
    #expect(damaged?.cannotBeKept == false)
  }

  private func fingerprint(_ secret: KeySecret) -> String { KeyFingerprints.compute(ArraySlice("k".utf8), secret) }

  @Test("Two secrets for one process each differ")
  func temporary() { #expect(fingerprint(.temporary()) != fingerprint(.temporary())) }

  @Test("A given secret is any bytes, without the line's end, in a file or a variable")
  func given() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let bytes: [UInt8] = [0xff, 0x00, 0x0a] + Array("sixteen bytes!".utf8)
    let path = folder.file("s")
    try Data(bytes + [0x0d, 0x0a]).write(to: URL(fileURLWithPath: path))
    chmod(path, 0o600)
    let expected = fingerprint(KeySecret(bytes: bytes))
    #expect(try fingerprint(KeySecret.load(given: path)) == expected)
    #expect(try fingerprint(KeySecret(given: bytes, in: "here")) == expected)
  }

  @Test("A copy of the file that was made means the same")
  func copied() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let made = try KeySecret.load(path: folder.file("made"))
    #expect(try fingerprint(KeySecret.load(given: folder.file("made"))) == fingerprint(made))
    #expect(try fingerprint(KeySecret(given: Array(folder.text(of: "made").utf8), in: "here")) == fingerprint(made))
  }

  @Test("Its group may read it where it is read-only; nobody else may", arguments: [0o400, 0o440, 0o600])
  func accessible(mode: mode_t) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = try folder.write("a secret of some length\n", to: "s")
    chmod(path, mode)
    #expect(throws: Never.self) { try KeySecret.load(given: path) }
  }

  @Test("One that others may read or its group may write is refused", arguments: [0o444, 0o640, 0o460, 0o441])
  func inaccessible(mode: mode_t) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = try folder.write("a secret of some length\n", to: "s")
    chmod(path, mode)
    let error = #expect(throws: KeySecretError.self) { try KeySecret.load(given: path) }
    #expect(error?.description.contains("mode 0440") == true)
  }

  @Test("One that is too short or too long is refused, by its place and not its text", arguments: [0, 15, 4097])
  func sizes(count: Int) throws {
    let error = #expect(throws: KeySecretError.self) {
      try KeySecret(given: Array(repeating: UInt8(ascii: "x"), count: count), in: "HERE")
    }
    #expect(error?.description.contains("HERE") == true && error?.description.contains("xx") == false)
    #expect(throws: KeySecretError.self) { try KeySecret.load(given: "/nonexistent/s") }
  }
}

@Suite("UUIDv7Generator")
struct UUIDv7Tests {
  @Test("The time, the version and the variant stand where RFC 9562 puts them")
  func layout() {
    var generator = UUIDv7Generator()
    // RFC 9562, appendix A.6, but for the bits that are random.
    let text = generator.next(realtimeNanoseconds: 0x017F_22E2_79B0 * 1_000_000, random: { 0xFFFF_FFFF_FFFF_FCC3 })
    #expect(text.description == "017f22e2-79b0-74c3-bfff-fffffffffcc3")
  }

  @Test("Identifiers ascend within a millisecond, past its counter, and through a step back of the clock")
  func ascending() {
    var generator = UUIDv7Generator()
    var last = ""
    for number in 0..<20_000 {
      let next = generator.next(
        realtimeNanoseconds: number < 15_000 ? 1_700_000_000_000_000_000 : 1_600_000_000_000_000_000
      ).description
      #expect(next > last)
      last = next
    }
    #expect(UUID(uuidString: last) != nil)
  }
}

@Suite("ExchangeID")
struct ExchangeIDTests {
  @Test("A UUID's text is the one it was made of, whatever its digits")
  func text() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<1_000 {
      let text = UUID.random(using: &generator).uuidString.lowercased()
      let id = ExchangeID(text)
      #expect(id.other == nil)
      #expect(id.description == text)
    }
    #expect(ExchangeID("01234567-89ab-cdef-0123-456789abcdef").description == "01234567-89ab-cdef-0123-456789abcdef")
    #expect(
      ExchangeID(high: 0x0123_4567_89AB_CDEF, low: 0x0123_4567_89AB_CDEF) == "01234567-89ab-cdef-0123-456789abcdef")
  }

  @Test(
    "What is not written like a UUID stays as it is",
    arguments: [
      "", "r1", "01234567-89AB-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcde",
      "01234567-89ab-cdef-0123-456789abcdef0", "0123456789ab-cdef-0123-456789abcdef-",
      "01234567-89ab-cdef-0123-456789abcdeg",
      "01234567+89ab-cdef-0123-456789abcdef", "é1234567-89ab-cdef-0123-456789abcde",
    ])
  func others(text: String) {
    #expect(ExchangeID(text).other == text)
    #expect(ExchangeID(text).description == text)
  }
}
