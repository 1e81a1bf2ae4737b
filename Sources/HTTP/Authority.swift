// The syntax of a request's host: the Host field, and the authority of an absolute form.

/// `uri-host [":" port]` (RFC 9110 §7.2) as clients write it: a name, an IPv4 or a bracketed IPv6 address.
package enum Authority {
  /// Whether `bytes` are an authority. User information, escapes, an empty host and ports above 65535 are not allowed.
  package static func isValid(_ bytes: ArraySlice<UInt8>) -> Bool {
    if bytes.first == UInt8(ascii: "[") {
      guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return false }
      return isIPv6(bytes[(bytes.startIndex + 1)..<end]) && isPort(bytes[(end + 1)...])
    }
    let end = bytes.firstIndex(of: ASCII.colon) ?? bytes.endIndex
    return end > bytes.startIndex && bytes[..<end].allSatisfy(ASCII.isHostName) && isPort(bytes[end...])
  }

  /// Nothing, or a colon and digits; a colon alone is allowed (RFC 3986 §3.2.3).
  private static func isPort(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard let first = bytes.first else { return true }
    let digits = bytes.dropFirst()
    guard first == ASCII.colon, digits.count <= 5, digits.allSatisfy(ASCII.isDigit) else { return false }
    return digits.reduce(0) { $0 * 10 + Int($1 - ASCII.zero) } <= 65535
  }

  /// RFC 4291 §2.2: eight groups of up to four digits, of which one run may be omitted and the last two may be IPv4. No zone.
  private static func isIPv6(_ bytes: ArraySlice<UInt8>) -> Bool {
    var groups = 0
    var hasGap = false
    var index = bytes.startIndex
    if bytes.starts(with: "::".utf8) {
      hasGap = true
      index += 2
    }
    while index < bytes.endIndex {
      let end = bytes[index...].firstIndex(of: ASCII.colon) ?? bytes.endIndex
      let group = bytes[index..<end]
      if end == bytes.endIndex, group.contains(UInt8(ascii: ".")) {
        guard isIPv4(group) else { return false }
        groups += 2
        break
      }
      guard (1...4).contains(group.count), group.allSatisfy({ ASCII.hexDigit($0) != nil }) else { return false }
      groups += 1
      if end == bytes.endIndex { break }
      index = end + 1
      if index == bytes.endIndex { return false }
      if bytes[index] == ASCII.colon {
        guard !hasGap else { return false }
        hasGap = true
        index += 1
      }
    }
    return hasGap ? groups < 8 : groups == 8
  }

  private static func isIPv4(_ bytes: ArraySlice<UInt8>) -> Bool {
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        (1...3).contains(part.count) && part.allSatisfy(ASCII.isDigit)
          && part.reduce(0) { $0 * 10 + Int($1 - ASCII.zero) } <= 255
      }
  }
}
