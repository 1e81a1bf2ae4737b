// The key that signatures of JSON Web Tokens are checked with. The algorithm is the key's own, never the token's.
import Crypto
import CryptoExtras

/// A key with its algorithm (RFC 7518 §3.1).
public struct TokenKey: Sendable {
  /// The algorithms that are known.
  public enum Algorithm: String, CaseIterable, Sendable {
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"
    case rs256 = "RS256"
    case es256 = "ES256"

    /// Whether the key is a secret, and no public key.
    var isSymmetric: Bool { self == .hs256 || self == .hs384 || self == .hs512 }
  }

  private enum Material {
    case secret(SymmetricKey)
    case rsa(_RSA.Signing.PublicKey)
    case p256(P256.Signing.PublicKey)
  }

  let algorithm: Algorithm
  private let material: Material

  /// Takes a secret (its bytes, without line ends at their end), or a public key in PEM.
  /// - Parameter path: the file it came from, for the error.
  public init(_ algorithm: Algorithm, contents: [UInt8], in path: String) throws(KeySecretError) {
    self.algorithm = algorithm
    guard !algorithm.isSymmetric else {
      let secret = contents.prefix { _ in true }.reversed().drop { $0 == 0x0A || $0 == 0x0D }.reversed()
      guard secret.count >= 16 else {
        throw KeySecretError(
          description: "the token key \(path) has fewer than 16 bytes: a secret of 32 or more is safe")
      }
      material = .secret(SymmetricKey(data: Array(secret)))
      return
    }
    let text = String(decoding: contents, as: UTF8.self)
    do {
      material =
        algorithm == .rs256
        ? .rsa(try _RSA.Signing.PublicKey(pemRepresentation: text))
        : .p256(try P256.Signing.PublicKey(pemRepresentation: text))
    } catch {
      let kind = algorithm == .rs256 ? "an RSA" : "a P-256"
      throw KeySecretError(
        description: "the token key \(path) is not \(kind) public key in PEM: \(algorithm.rawValue) needs one")
    }
  }

  /// Reads the key from a file. A secret must be nobody else's to read, as the secret of the fingerprints.
  public static func load(_ algorithm: Algorithm, path: String) throws(KeySecretError) -> TokenKey {
    try TokenKey(algorithm, contents: KeySecret.contents(of: path, isSecret: algorithm.isSymmetric), in: path)
  }

  /// Whether `signature` is this key's, of `message`.
  func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    switch material {
    case .secret(let key):
      switch algorithm {
      case .hs384: HMAC<SHA384>.isValidAuthenticationCode(signature, authenticating: message, using: key)
      case .hs512: HMAC<SHA512>.isValidAuthenticationCode(signature, authenticating: message, using: key)
      default: HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: message, using: key)
      }
    case .rsa(let key):
      key.isValidSignature(
        _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: message),
        padding: .insecurePKCS1v1_5)
    case .p256(let key):
      (try? P256.Signing.ECDSASignature(rawRepresentation: signature)).map { key.isValidSignature($0, for: message) }
        ?? false
    }
  }
}
