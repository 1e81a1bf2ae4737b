// Which bytes are allowed where: in tokens, field values, request targets, hosts.

/// The bytes that HTTP/1.1 is made of.
@usableFromInline
package enum ASCII {
  @inlinable package static var tab: UInt8 { 0x09 }
  @inlinable package static var lineFeed: UInt8 { 0x0A }
  @inlinable package static var carriageReturn: UInt8 { 0x0D }
  @inlinable package static var space: UInt8 { 0x20 }
  @inlinable package static var comma: UInt8 { 0x2C }
  @inlinable package static var zero: UInt8 { 0x30 }
  @inlinable package static var nine: UInt8 { 0x39 }

  @inlinable package static var colon: UInt8 { 0x3A }
  @inlinable package static var semicolon: UInt8 { 0x3B }
  @inlinable package static var equals: UInt8 { 0x3D }
  @inlinable package static var quote: UInt8 { 0x22 }
  @inlinable package static var backslash: UInt8 { 0x5C }

  /// Optional white space (RFC 9110 §5.6.3).
  @inlinable
  package static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }
  @inlinable
  package static func isDigit(_ byte: UInt8) -> Bool { byte >= zero && byte <= nine }
  @inlinable
  package static func lowercased(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

  /// A byte of a token: a method, a field's name (RFC 9110 §5.6.2).
  @inlinable
  package static func isToken(_ byte: UInt8) -> Bool { isIn(byte, 0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE) }

  /// A byte of a field's value: no control byte but HTAB; 0x80 to 0xFF pass as they are (RFC 9110 §5.5).
  @inlinable
  package static func isFieldValue(_ byte: UInt8) -> Bool { byte >= space && byte != 0x7F || byte == tab }

  /// A byte of a request target: what RFC 3986 allows, square brackets, and what browsers do not escape in a query
  /// (WHATWG URL §1.3). Never a control byte, a space, `"`, `#`, `<`, `>` or anything beyond ASCII.
  @inlinable
  package static func isTarget(_ byte: UInt8) -> Bool { isIn(byte, 0xAFFF_FFF2_0000_0000, 0x7FFF_FFFF_FFFF_FFFF) }

  /// A byte of a host name: RFC 3986's unreserved ones. Servers differ in how they understand escapes and sub-delimiters,
  /// and no resolver accepts them.
  @inlinable
  package static func isHostName(_ byte: UInt8) -> Bool { isIn(byte, 0x03FF_6000_0000_0000, 0x47FF_FFFE_87FF_FFFE) }

  /// The value of a hexadecimal digit; nil of another byte.
  @inlinable
  package static func hexDigit(_ byte: UInt8) -> UInt8? {
    if isDigit(byte) { return byte &- zero }
    let letter = byte | 0x20
    return letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "f") ? letter &- UInt8(ascii: "a") &+ 10 : nil
  }

  /// Whether a byte's bit is set in the mask of 0x00 to 0x3F or that of 0x40 to 0x7F.
  @inlinable
  static func isIn(_ byte: UInt8, _ low: UInt64, _ high: UInt64) -> Bool {
    byte < 0x80 && (byte < 0x40 ? low : high) & (1 << UInt64(byte & 0x3F)) != 0
  }
}
