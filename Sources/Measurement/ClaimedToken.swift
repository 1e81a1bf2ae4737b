// A JSON Web Token of a request, read when the record is written: checking a signature delays nobody.
import JSON
import Synchronization

/// Why a token names nobody. The words are those of `tachograph_identity_token_failures_total`.
public enum TokenFailure: String, CaseIterable, Sendable, Error {
  /// It is no JSON Web Token, or one with extensions that have to be understood.
  case malformed
  /// Longer than 8 KiB.
  case tooLarge = "too_large"
  /// Its algorithm is not the configured key's.
  case algorithm
  /// The signature is not the configured key's.
  case signature
  /// `exp` has passed.
  case expired
  /// `nbf` has not come.
  case notYetValid = "not_yet_valid"
  /// It has no such claim, or one that is neither a text nor a number.
  case claimMissing = "claim_missing"
}

/// One claim of a token, and when it holds.
struct TokenClaim: Sendable, Equatable {
  /// Seconds by which the clocks of issuer and proxy may differ.
  static let leeway = 60.0

  var name: String
  /// Whether the signature was checked.
  var isVerified: Bool
  /// Seconds since 1970.
  var expiresAt: Double?
  var notBefore: Double?

  /// What keeps it from counting at a time.
  func failure(at seconds: Double) -> TokenFailure? {
    if let expiresAt, seconds >= expiresAt + Self.leeway { return .expired }
    if let notBefore, seconds < notBefore - Self.leeway { return .notYetValid }
    return nil
  }
}

/// A token as it came. Its bytes are kept until it is first asked for its claim, and overwritten then; what it said is
/// kept, as all requests with the same head share it.
final class ClaimedToken: Sendable {
  /// The longest token that is read.
  static let limit = 8 << 10

  private enum State {
    case unread([UInt8])
    case read(Result<TokenClaim, TokenFailure>)
  }

  private let claim: String
  private let state: Mutex<State>

  init(_ bytes: ArraySlice<UInt8>, claim: String) {
    self.claim = claim
    state = Mutex(bytes.count > Self.limit ? .read(.failure(.tooLarge)) : .unread(Array(bytes)))
  }

  /// What the token says, checked by `key` if there is one.
  func read(_ key: TokenKey?) -> Result<TokenClaim, TokenFailure> {
    state.withLock { state in
      switch state {
      case .read(let result): return result
      case .unread(var bytes):
        let result = Result { () throws(TokenFailure) in try JSONWebToken.read(bytes, claim: claim, key) }
        state = .read(result)
        for index in bytes.indices { bytes[index] = 0 }
        return result
      }
    }
  }
}

/// Tokens in the compact form (RFC 7519, RFC 7515 §7.1).
enum JSONWebToken {
  static func read(_ token: [UInt8], claim: String, _ key: TokenKey?) throws(TokenFailure) -> TokenClaim {
    let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3, let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
      let signature = Base64URL.decode(parts[2])
    else { throw .malformed }
    try check(header, key)
    if let key {
      guard key.verifies(signature, of: Array(token[..<parts[1].endIndex])) else { throw .signature }
    }
    return try read(payload, claim, isVerified: key != nil)
  }

  /// The algorithm that a token names only has to be the key's: it is never chosen by it. `none` is nobody's.
  private static func check(_ header: [UInt8], _ key: TokenKey?) throws(TokenFailure) {
    let found: (isObject: Bool, algorithm: String?, isCritical: Bool)? = unsafe JSONParser().parse(header.span.bytes) {
      root in
      (root.isObject, root["alg"]?.string, root["crit"] != nil)
    }
    guard let found, found.isObject, let algorithm = found.algorithm, !found.isCritical else { throw .malformed }
    if let key, algorithm != key.algorithm.rawValue { throw .algorithm }
  }

  private static func read(_ payload: [UInt8], _ claim: String, isVerified: Bool) throws(TokenFailure) -> TokenClaim {
    let found: Result<TokenClaim, TokenFailure>? = unsafe JSONParser().parse(payload.span.bytes) { root in
      guard root.isObject else { return .failure(.malformed) }
      for time in [root["exp"], root["nbf"]] where time != nil && time?.double == nil { return .failure(.malformed) }
      guard let name = name(find(claim, in: root)) else { return .failure(.claimMissing) }
      return .success(
        TokenClaim(
          name: name, isVerified: isVerified, expiresAt: root["exp"]?.double, notBefore: root["nbf"]?.double))
    }
    guard let found else { throw .malformed }
    return try found.get()
  }

  /// The claim of this name; where there is none, `a.b` is the member `b` of the claim `a`.
  private static func find(_ claim: String, in root: JSONValue) -> JSONValue? {
    if let whole = root.member(named: claim) { return whole }
    return claim.split(separator: ".").reduce(root) { $0?.member(named: String($1)) }
  }

  private static func name(_ value: JSONValue?) -> String? {
    guard let text = value?.string ?? value?.int.map({ String($0) }) else { return nil }
    let name = text.drop { $0 == " " || $0 == "\t" }
    return name.isEmpty ? nil : StringLimit.capped(String(name))
  }
}

/// Base64 in its alphabet for URLs, without padding (RFC 4648 §5, RFC 7515 §2).
enum Base64URL {
  /// The bytes; nil where it is none.
  static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count * 3 / 4)
    var bits: UInt32 = 0
    var count = 0
    for character in text {
      guard let value = value(character) else { return nil }
      bits = bits << 6 | value
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    // A lone character, or bits that are left over and not 0: two texts would stand for the same bytes.
    guard count < 6, bits & (1 << UInt32(count) - 1) == 0 else { return nil }
    return bytes
  }

  private static func value(_ character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "-"): 62
    case UInt8(ascii: "_"): 63
    default: nil
    }
  }
}
