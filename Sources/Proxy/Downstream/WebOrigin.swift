// The origin of the web page that made a browser send a request, as far as it may be repeated to that browser.
import HTTP

/// A value of the `Origin` field (RFC 6454 §7): `null`, or scheme, host and port. Anything else is not repeated.
enum WebOrigin {
  private static let maxBytes = 300

  /// The origin that a validated head names.
  static func text(of head: RequestHead) -> String? {
    let values = head.fields.firstIndex(named: "origin") == nil ? [] : head.fields.values(named: "origin")
    return values.count == 1 ? checked(values[0]) : nil
  }

  /// The origin that a head names which was refused, or is not whole. Of two none is repeated.
  static func text(inHead bytes: [UInt8]) -> String? {
    let name = Array("origin:".utf8)
    var found: String?
    var count = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropFirst().dropLast() {
      if line.isEmpty || line.elementsEqual([UInt8(ascii: "\r")]) { break }
      guard line.count >= name.count, zip(line, name).allSatisfy({ $0 | 0x20 == $1 | 0x20 }) else { continue }
      count += 1
      var value = line.dropFirst(name.count)
      if value.last == UInt8(ascii: "\r") { value = value.dropLast() }
      value = value.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
      while let last = value.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") { value = value.dropLast() }
      found = checked(value)
    }
    return count == 1 ? found : nil
  }

  private static func checked(_ value: ArraySlice<UInt8>) -> String? {
    if value.elementsEqual("null".utf8) { return "null" }
    guard value.count <= maxBytes, let colon = value.firstIndex(of: UInt8(ascii: ":")),
      value[colon...].starts(with: "://".utf8), isScheme(value[..<colon]), Authority.isValid(value[(colon + 3)...])
    else { return nil }
    return String(decoding: value, as: UTF8.self)
  }

  /// RFC 3986 §3.1.
  private static func isScheme(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard let first = bytes.first, isLetter(first) else { return false }
    return bytes.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0) }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
}
