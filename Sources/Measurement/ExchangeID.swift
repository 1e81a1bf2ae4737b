// The identifier of an exchange: sixteen bytes, and its text.

/// An exchange's identifier. The proxy's own are UUIDs; a log may have any other text in that place.
///
/// A text is equal to a UUID that is written like it: lower case, 8-4-4-4-12 digits.
public struct ExchangeID: Hashable, Sendable {
  /// Bytes of a UUID's text.
  public static let uuidLength = 36

  private enum Value: Hashable, Sendable {
    case uuid(high: UInt64, low: UInt64)
    case text(String)
  }

  private let value: Value

  /// No identifier: an empty text.
  public init() { value = .text("") }

  /// The identifier that is written like `text`.
  public init(_ text: String) { value = Self.uuid(text) ?? .text(text) }

  /// A UUID, most significant bits first.
  init(high: UInt64, low: UInt64) { value = .uuid(high: high, low: low) }

  /// The text of an identifier that is no UUID; nil: `writeUUID` writes it.
  public var other: String? { if case .text(let text) = value { text } else { nil } }

  /// Writes a UUID's text, all of it digits and dashes, to the `uuidLength` bytes from `start` on.
  @unsafe
  public func writeUUID(to start: UnsafeMutableRawPointer) {
    guard case .uuid(let high, let low) = value else { return }
    let (middle, end) = (Self.digits(UInt32(truncatingIfNeeded: high)), Self.digits(UInt32(low >> 32)))
    unsafe start.storeBytes(of: Self.digits(UInt32(high >> 32)), as: UInt64.self)
    unsafe start.storeBytes(of: UInt32(truncatingIfNeeded: middle), toByteOffset: 9, as: UInt32.self)
    unsafe start.storeBytes(of: UInt32(middle >> 32), toByteOffset: 14, as: UInt32.self)
    unsafe start.storeBytes(of: UInt32(truncatingIfNeeded: end), toByteOffset: 19, as: UInt32.self)
    unsafe start.storeBytes(of: UInt32(end >> 32), toByteOffset: 24, as: UInt32.self)
    unsafe start.storeBytes(of: Self.digits(UInt32(truncatingIfNeeded: low)), toByteOffset: 28, as: UInt64.self)
    unsafe start.storeBytes(of: UInt8(ascii: "-"), toByteOffset: 8, as: UInt8.self)
    unsafe start.storeBytes(of: UInt8(ascii: "-"), toByteOffset: 13, as: UInt8.self)
    unsafe start.storeBytes(of: UInt8(ascii: "-"), toByteOffset: 18, as: UInt8.self)
    unsafe start.storeBytes(of: UInt8(ascii: "-"), toByteOffset: 23, as: UInt8.self)
  }

  /// The eight hex digits of `value`, the first one in the lowest byte (our processors are little-endian).
  @inline(__always)
  private static func digits(_ value: UInt32) -> UInt64 {
    var halves = UInt64(value)
    halves = (halves | halves << 16) & 0x0000_FFFF_0000_FFFF
    halves = (halves | halves << 8) & 0x00FF_00FF_00FF_00FF
    halves = (halves | halves << 4) & 0x0F0F_0F0F_0F0F_0F0F
    let nibbles = halves.byteSwapped
    // Ten and more carry into the next four bits once 6 is added; `a` to `f` stand 39 behind the digits.
    let letters = ((nibbles &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
    return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 39
  }

  private static func uuid(_ text: String) -> Value? {
    guard text.utf8.count == uuidLength else { return nil }
    var halves: (high: UInt64, low: UInt64) = (0, 0)
    for (place, byte) in text.utf8.enumerated() {
      switch place {
      case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return nil }
      default:
        guard let digit = Hex.digit(byte) else { return nil }
        halves.high = halves.high << 4 | halves.low >> 60
        halves.low = halves.low << 4 | UInt64(digit)
      }
    }
    return .uuid(high: halves.high, low: halves.low)
  }
}

extension ExchangeID: CustomStringConvertible, ExpressibleByStringInterpolation {
  /// The identifier that is written like `text`.
  public init(stringLiteral text: String) { self.init(text) }

  /// The identifier as the log has it.
  public var description: String {
    if let other { return other }
    return unsafe String(unsafeUninitializedCapacity: Self.uuidLength) { buffer in
      guard let start = buffer.baseAddress else { return 0 }
      unsafe writeUUID(to: UnsafeMutableRawPointer(start))
      return Self.uuidLength
    }
  }
}
