// Which header values are credentials, and which part of them is: those become fingerprints, never names.
// It must not store a credential.

/// Credentials in header fields.
enum Credential {
  /// The credential in a field's value; nil where the value is none.
  ///
  /// A field is told by its name: `authorization`, `proxy-authorization`, `cookie`, `x-api-key`, `api-key`, and every other whose
  /// last word says the same (`x-auth-token`). In any other field, what begins with `Bearer` or `Basic` is a credential.
  /// - Parameters:
  ///   - value: without blanks around it, not empty.
  ///   - field: its name in lower case.
  static func find(in value: ArraySlice<UInt8>, of field: String) -> ArraySlice<UInt8>? {
    if hasScheme(value) { return inAuthorization(value) }
    guard isCarried(by: field) else { return nil }
    // Whatever stands in such a field, also a scheme alone, is not a name.
    return field.hasSuffix("authorization") ? inAuthorization(value) ?? value : value
  }

  /// The credential in the value of an `Authorization` field (RFC 9110 §11.6.2): what follows the scheme `Bearer` or `Basic` or
  /// another that is followed by one word, and a value of one word, as some clients send their key. Nil where there is only a
  /// scheme, and for schemes whose value changes with each request.
  /// - Parameter value: without blanks around it.
  static func inAuthorization(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    let scheme = value.prefix { !isBlank($0) }
    let rest = value[scheme.endIndex...].drop(while: isBlank)
    let name = String(decoding: scheme, as: UTF8.self).lowercased()
    if rest.isEmpty { return scheme.isEmpty || schemes.contains(name) ? nil : scheme }
    if schemes.contains(name) { return rest }
    return changingSchemes.contains(name) || rest.contains(where: isBlank) ? nil : rest
  }

  /// What follows a scheme in a value, or all of it: where a token stands, which has no blank in it.
  static func token(in value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    value.lastIndex(where: isBlank).map { value[($0 + 1)...] } ?? value
  }

  private static func hasScheme(_ value: ArraySlice<UInt8>) -> Bool {
    let scheme = value.prefix { !isBlank($0) }
    return scheme.endIndex < value.endIndex && schemes.contains(String(decoding: scheme, as: UTF8.self).lowercased())
  }

  private static func isCarried(by field: String) -> Bool {
    guard let last = field.split(whereSeparator: { $0 == "-" || $0 == "_" }).last else { return false }
    return words.contains { last.hasSuffix($0) } || last == "auth"
  }

  /// How the last word of such a field's name ends.
  private static let words = [
    "authorization", "cookie", "cookie2", "key", "token", "secret", "password", "jwt", "assertion", "credential",
    "credentials",
  ]
  /// Schemes whose value is the same for each request, whatever it looks like (RFC 6750, RFC 7617).
  private static let schemes: Set = ["bearer", "basic"]
  /// Schemes whose value is a proof made for one request or one connection.
  private static let changingSchemes: Set = [
    "digest", "negotiate", "ntlm", "hawk", "signature", "hoba", "mutual", "vapid",
  ]

  private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}
