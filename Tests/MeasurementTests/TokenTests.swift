// Tokens: whose signature counts, what makes them name nobody, and which of their claims is the name.
import Crypto
import CryptoExtras
import Testing
import TokenWire

@testable import Measurement

private func encoded(_ bytes: some Sequence<UInt8>) -> String {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
  var text = ""
  var bits: UInt32 = 0
  var count: UInt32 = 0
  for byte in bytes {
    bits = bits << 8 | UInt32(byte)
    count += 8
    while count >= 6 {
      count -= 6
      text.append(alphabet[Int(bits >> count & 63)])
    }
  }
  if count > 0 { text.append(alphabet[Int(bits << (6 - count) & 63)]) }
  return text
}

private func token(_ payload: String, _ algorithm: String = "HS256", sign: (String) -> [UInt8] = hs256) -> String {
  let message = "\(encoded(#"{"alg":"\#(algorithm)","typ":"JWT"}"#.utf8)).\(encoded(payload.utf8))"
  return "\(message).\(encoded(sign(message)))"
}

private let secret = Array("a secret of thirty-two bytes, so".utf8)
private func hs256(_ message: String) -> [UInt8] {
  Array(HMAC<SHA256>.authenticationCode(for: Array(message.utf8), using: SymmetricKey(data: secret)))
}

private func read(_ token: String, _ key: TokenKey?, claim: String = "sub") -> Result<TokenClaim, TokenFailure> {
  ClaimedToken(ArraySlice(token.utf8), claim: claim).read(key)
}

private func name(_ result: Result<TokenClaim, TokenFailure>) -> String { (try? result.get().name) ?? "nobody" }
private func failure(_ result: Result<TokenClaim, TokenFailure>) -> TokenFailure? {
  if case .failure(let failure) = result { failure } else { nil }
}

@Suite("Tokens")
struct TokenTests {
  private let key: TokenKey

  init() throws { key = try TokenKey(.hs256, contents: secret + [0x0A], in: "file") }

  @Test("RFC 7515's example A.1 is verified, and its exp has passed")
  func example() throws {
    let bytes = try #require(
      Base64URL.decode(
        ArraySlice("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow".utf8)))
    let text =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
      + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    let claim = try read(text, TokenKey(.hs256, contents: bytes, in: ""), claim: "iss").get()
    #expect(claim.name == "joe" && claim.isVerified)
    #expect(claim.failure(at: 1_300_819_379) == nil && claim.failure(at: 1_300_819_441) == .expired)
  }

  @Test("Each algorithm verifies its own signatures, and no other's")
  func algorithms() throws {
    let rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048)
    let p256 = P256.Signing.PrivateKey()
    let keys: [(TokenKey, (String) throws -> [UInt8])] = [
      (key, hs256),
      (
        try TokenKey(.hs384, contents: secret, in: ""),
        { Array(HMAC<SHA384>.authenticationCode(for: Array($0.utf8), using: SymmetricKey(data: secret))) }
      ),
      (
        try TokenKey(.hs512, contents: secret, in: ""),
        { Array(HMAC<SHA512>.authenticationCode(for: Array($0.utf8), using: SymmetricKey(data: secret))) }
      ),
      (
        try TokenKey(.rs256, contents: Array(rsa.publicKey.pemRepresentation.utf8), in: ""),
        { message in
          let digest = SHA256.hash(data: Array(message.utf8))
          return Array(try rsa.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation)
        }
      ),
      (
        try TokenKey(.es256, contents: Array(p256.publicKey.pemRepresentation.utf8), in: ""),
        { Array(try p256.signature(for: Array($0.utf8)).rawRepresentation) }
      ),
    ]
    for (signer, sign) in keys {
      let text = token(#"{"sub":"ann"}"#, signer.algorithm.rawValue) { (try? sign($0)) ?? [] }
      for (reader, _) in keys {
        let isOwn = signer.algorithm == reader.algorithm
        #expect(name(read(text, reader)) == (isOwn ? "ann" : "nobody"), "\(signer.algorithm) by \(reader.algorithm)")
        #expect(failure(read(text, reader)) == (isOwn ? nil : .algorithm))
      }
      // The name of another algorithm over the same signature.
      let lie = token(#"{"sub":"ann"}"#, "HS256") { (try? sign($0)) ?? [] }
      if signer.algorithm != .hs256 { #expect(failure(read(lie, key)) == .signature) }
    }
  }

  @Test("A public key is no secret: a token signed by its text under HS256 names nobody")
  func confusion() throws {
    let pem = P256.Signing.PrivateKey().publicKey.pemRepresentation
    let forged = token(#"{"sub":"root"}"#) {
      Array(HMAC<SHA256>.authenticationCode(for: Array($0.utf8), using: SymmetricKey(data: Array(pem.utf8))))
    }
    #expect(failure(read(forged, try TokenKey(.es256, contents: Array(pem.utf8), in: ""))) == .algorithm)
  }

  @Test("None never verifies", arguments: ["none", "None", "NONE", "nOnE", ""])
  func none(_ algorithm: String) {
    for sign in [{ _ in [] }, hs256] {
      #expect(failure(read(token(#"{"sub":"root"}"#, algorithm, sign: sign), key)) == .algorithm)
    }
  }

  @Test("What is changed, cut or no token names nobody")
  func damaged() {
    let good = token(#"{"sub":"ann"}"#)
    #expect(name(read(good, key)) == "ann")
    let parts = good.split(separator: ".")
    let other = token(#"{"sub":"bob"}"#).split(separator: ".")
    #expect(failure(read("\(parts[0]).\(other[1]).\(parts[2])", key)) == .signature)
    for text in ["", ".", "..", "a.b", "\(good).x", "\(parts[0]).\(parts[1])", "{}.{}.{}", "sk-1234"] {
      #expect(failure(read(text, key)) == .malformed, "\(text)")
      #expect(failure(read(text, nil)) == .malformed, "\(text)")
    }
    #expect(failure(read(token("[1]"), key)) == .malformed)
    #expect(failure(read(token(#"{"sub":"ann","exp":"soon"}"#), key)) == .malformed)
    let critical = "\(encoded(#"{"alg":"HS256","crit":["b64"]}"#.utf8)).\(parts[1])"
    #expect(failure(read("\(critical).\(encoded(hs256(critical)))", key)) == .malformed)
    let long = token(#"{"sub":"ann","pad":"\#(String(repeating: "x", count: 8192))"}"#)
    #expect(failure(read(long, key)) == .tooLarge)
  }

  @Test("A token counts from nbf to exp, give or take a minute", arguments: [nil, "key"])
  func times(_ checked: String?) throws {
    let claim = try read(token(#"{"sub":"ann","nbf":1000,"exp":2000.5}"#), checked == nil ? nil : key).get()
    #expect(claim.failure(at: 939) == .notYetValid && claim.failure(at: 940) == nil)
    #expect(claim.failure(at: 2060) == nil && claim.failure(at: 2061) == .expired)
  }

  @Test(
    "A claim is a text or a whole number, by its name or by a path",
    arguments: [
      ("sub", "ann"), ("id", "42"), ("https://example.com/user", "url"), ("profile.email", "a@b"),
      ("flat.name", "whole"),
    ])
  func claims(_ claim: String, _ expected: String) {
    let payload =
      #"{"sub":" ann","id":42,"https://example.com/user":"url","profile":{"email":"a@b"},"flat.name":"whole","flat":{"name":"path"}}"#
    #expect(name(read(token(payload), key, claim: claim)) == expected)
  }

  @Test("A claim that is neither names nobody", arguments: ["absent", "list", "empty", "none", "a.b.c", "real"])
  func noClaim(_ claim: String) {
    let payload = #"{"list":["x"],"empty":"","none":null,"a":{"b":"c"},"real":1.5}"#
    #expect(failure(read(token(payload), key, claim: claim)) == .claimMissing)
  }

  @Test("A secret that is too short and a key of another kind are refused, and no error quotes them")
  func badKeys() {
    let pem = P256.Signing.PrivateKey().publicKey.pemRepresentation
    for (algorithm, contents) in [
      (TokenKey.Algorithm.hs256, "short-secret"), (.rs256, pem), (.rs256, "hello"), (.es256, "hello"),
    ] {
      let error = #expect(throws: KeySecretError.self) {
        try TokenKey(algorithm, contents: Array(contents.utf8), in: "FILE")
      }
      #expect(error?.description.contains("FILE") == true && error?.description.contains(contents) == false)
    }
  }

  @Test("Base64 for URLs has one text for each value", arguments: ["A", "AB", "AAB", "AA=", "A+", "A A", "AAAAA"])
  func base64(_ text: String) { #expect(Base64URL.decode(ArraySlice(text.utf8)) == nil) }
}

@Suite("Rules of identity")
struct IdentityRulesTests {
  private let secret = KeySecret(bytes: Array(0..<32))

  private func origin(
    _ rules: [IdentityRule], _ fields: [String: String] = [:], names: NamePolicy = NamePolicy(), key: TokenKey? = nil
  ) -> RequestOrigin {
    var reader = IdentityReader(IdentityRules(rules, session: ["x-s"], names: names, tokenKey: key), secret: secret)
    return reader.read { fields[$0].map { ArraySlice($0.utf8) } }
  }

  private func facts(_ more: [String: String] = [:], user: String? = nil) -> RequestFacts {
    var facts = RequestFacts()
    facts.user = user
    facts.userKey = user.map { _ in "body:user" }
    facts.moreUsers = more
    return facts
  }

  @Test("Rules count in their order, whatever they look at")
  func order() {
    let fields = ["x-a": "header-a", "x-b": "header-b", "authorization": "Bearer sk-1"]
    let body = facts(["body:prompt_cache_key": "cache", "body:safety_identifier": "safe"], user: "body-user")
    let cases: [([IdentityRule], String, String)] = [
      ([.header("X-B"), .header("x-a")], "header-b", "header:x-b"),
      ([.body("prompt_cache_key"), .header("x-a")], "cache", "body:prompt_cache_key"),
      ([.body("metadata.user_id"), .body("safety_identifier"), .body("user")], "safe", "body:safety_identifier"),
      ([.header("x-none"), .clientAddress, .body("user")], "10.0.0.1", "client_ip"),
      ([.body("metadata.user_id"), .fixed("batch")], "batch", "fixed"),
    ]
    for (rules, user, from) in cases {
      #expect(origin(rules, fields).identity(facts: body, client: "10.0.0.1") == Identity(user: user, from: from))
    }
    #expect(origin([.apiKey, .header("x-a")], fields).identity(facts: body, client: "c")?.from == "api_key")
    #expect(origin([.header("x-none")], fields).identity(facts: body, client: "c") == nil)
  }

  @Test(
    "Nobody is named behind a member of a body that was not read; what was read of it counts, and headers before it")
  func unread() {
    let rules: [IdentityRule] = [.header("x-a"), .body("user"), .body("safety_identifier"), .clientAddress]
    #expect(origin(rules).identity(facts: facts(), client: "c", isBodyRead: false) == nil)
    #expect(origin(rules).identity(facts: facts(user: "u"), client: "c", isBodyRead: false)?.user == "u")
    #expect(origin(rules, ["x-a": "a"]).identity(facts: facts(), client: "c", isBodyRead: false)?.user == "a")
    #expect(
      origin([.clientAddress, .body("user")]).identity(facts: facts(), client: "c", isBodyRead: false)?.user == "c")
  }

  @Test(
    "A token whose signature is not checked is marked; one that names nobody gives way to the next rule, and is counted"
  )
  func tokens() throws {
    let text = token(#"{"sub":"ann","exp":2000}"#)
    let rules: [IdentityRule] = [.token(claim: "sub", header: "Authorization"), .clientAddress]
    let fields = ["authorization": "Bearer \(text)"]
    let unchecked = origin(rules, fields).identity(facts: facts(), client: "c", at: 1)
    #expect(unchecked == Identity(user: "ann", from: "jwt_unverified:sub"))
    let key = try TokenKey(.hs256, contents: Array("a secret of thirty-two bytes, so".utf8), in: "")
    let checked = origin(rules, fields, key: key)
    #expect(checked.identity(facts: facts(), client: "c", at: 1) == Identity(user: "ann", from: "jwt:sub"))
    var failures: [TokenFailure] = []
    // The same request's head later: what is remembered of its token still expires.
    #expect(checked.identity(facts: facts(), client: "c", at: 9999) { failures.append($0) }?.from == "client_ip")
    #expect(failures == [.expired])
    let wrong = origin(rules, ["authorization": "Bearer \(text)x"], key: key)
    #expect(wrong.identity(facts: facts(), client: "c", at: 1) { failures.append($0) }?.from == "client_ip")
    #expect(failures.count == 2)
  }

  @Test("From a peer that is not trusted a token counts only if its signature is good")
  func untrusted() throws {
    let rules: [IdentityRule] = [.token(claim: "sub", header: "x-token"), .header("x-a"), .clientAddress]
    let fields = ["x-token": token(#"{"sub":"ann"}"#), "x-a": "a", "x-s": "s", "x-openwebui-task": "title_generation"]
    let unchecked = origin(rules, fields).withoutHeaders
    #expect(unchecked.identity(facts: facts(), client: "c")?.from == "client_ip")
    #expect(unchecked.session(facts: facts()) == nil && unchecked.task(facts: facts()) == nil)
    let key = try TokenKey(.hs256, contents: Array("a secret of thirty-two bytes, so".utf8), in: "")
    #expect(origin(rules, fields, key: key).withoutHeaders.identity(facts: facts(), client: "c")?.user == "ann")
  }

  @Test("Names are hashed or dropped, but not those that are allowed, and not a fixed one")
  func policy() throws {
    let named = { (mode: NamePolicy.Mode, name: String) in
      let origin = origin([.header("x-a")], ["x-a": name], names: NamePolicy(mode, allowed: ["team-*", "ann"]))
      return origin.shown(origin.identity(facts: facts(), client: "c"))
    }
    #expect(named(.keep, "bob") == "bob" && named(.drop, "bob") == nil)
    let hashed = try #require(named(.hash, "bob"))
    #expect(
      hashed.hasPrefix("user_") && hashed.utf8.count == 17 && hashed == named(.hash, "bob")
        && hashed != named(.hash, "eve"))
    for mode in NamePolicy.Mode.allCases {
      #expect(named(mode, "ann") == "ann" && named(mode, "team-x") == "team-x")
      let fixed = origin([.fixed("everybody")], names: NamePolicy(mode))
      #expect(fixed.shown(fixed.identity(facts: facts(), client: "c")) == "everybody")
    }
    // A fingerprint is not hashed again.
    let keyed = origin([.apiKey], ["x-api-key": "sk-abc"], names: NamePolicy(.hash))
    #expect(keyed.shown(keyed.identity(facts: facts(), client: "c")) == "key_79cab182c097")
  }

  @Test(
    "Open WebUI's word for a call of its own is a task; a template that was not filled in is none",
    arguments: [
      ("title_generation", "title_generation"), ("{{TASK}}", nil), ("None", nil), ("", nil), ("a b", nil),
      (String(repeating: "x", count: 65), nil),
    ])
  func task(_ value: String, _ expected: String?) {
    #expect(origin([], ["x-openwebui-task": value]).task(facts: facts()) == expected)
    var told = facts()
    told.task = "tags_generation"
    #expect(origin([]).task(facts: told) == "tags_generation")
  }
}
