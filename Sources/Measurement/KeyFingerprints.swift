// API keys to fingerprints that name a user without giving the key away, remembered so that few requests pay for it.
// It must not store a key: fingerprints are found by a keyed 128-bit hash of it.
import Crypto

/// Fingerprints of API keys: `key_` and the first 12 hex digits of HMAC-SHA-256 under the secret
/// (Documentation.docc/Record.md, "What is never in a record").
///
/// A key is bytes, not text: two that Swift takes for the same text (`é` in one scalar and in two, or bytes that are no UTF-8)
/// are two keys. Remembers the keys last used, one value a worker; the memory is bounded.
public struct KeyFingerprints: Sendable {
  private let secret: KeySecret
  private let limit: Int
  /// Two generations: what is used moves to the young one, and when that is full the old one is forgotten.
  private var young: [KeyedHash: String] = [:]
  private var old: [KeyedHash: String] = [:]

  /// - Parameter limit: keys remembered, at most (twice this for a moment).
  public init(secret: KeySecret, limit: Int = 1_024) {
    self.secret = secret
    self.limit = max(limit, 1)
  }

  /// The fingerprint of `credential`.
  public mutating func fingerprint(of credential: ArraySlice<UInt8>) -> String {
    var hash = KeyedHash.Hasher()
    hash.combine(credential)
    let slot = hash.finalize()
    if let known = young[slot] { return known }
    let fingerprint = old[slot] ?? Self.compute(credential, secret)
    if young.count >= limit {
      old = young
      young = [:]
    }
    young[slot] = fingerprint
    return fingerprint
  }

  /// Keys remembered now.
  var remembered: Int { young.count + old.count }

  /// The fingerprint of a name, which is another one than that of an equal key.
  static func name(_ name: String, _ secret: KeySecret) -> String {
    let code = HMAC<SHA256>.authenticationCode(for: Array("user\0".utf8) + Array(name.utf8), using: secret.key)
    return "user_" + Hex.encode(code.prefix(6))
  }

  static func compute(_ credential: ArraySlice<UInt8>, _ secret: KeySecret) -> String {
    let code = HMAC<SHA256>.authenticationCode(for: credential, using: secret.key)
    return "key_" + Hex.encode(code.prefix(6))
  }
}
