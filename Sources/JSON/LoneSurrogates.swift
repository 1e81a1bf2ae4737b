// Escapes that stand for half a character: some servers cut a surrogate pair in two, and yyjson takes no half.

/// Escapes of surrogates that are not one of a pair (RFC 8259 §8.2).
enum LoneSurrogates {
  /// Writes U+FFFD in the place of each, so that every byte behind it stays where it was.
  static func replace(in text: UnsafeMutableRawBufferPointer) {
    var at = 0
    while at + 6 <= text.count {
      guard unsafe text[at] == UInt8(ascii: "\\") else {
        at += 1
        continue
      }
      guard let unit = unsafe escapedUnit(text, at) else {
        at += 2
        continue
      }
      switch unit {
      case 0xD800..<0xDC00:
        if let next = unsafe escapedUnit(text, at + 6), 0xDC00..<0xE000 ~= next {
          at += 12
          continue
        }
        unsafe write(to: text, at)
      case 0xDC00..<0xE000: unsafe write(to: text, at)
      default: break
      }
      at += 6
    }
  }

  private static func write(to text: UnsafeMutableRawBufferPointer, _ at: Int) {
    for (offset, byte) in "fffd".utf8.enumerated() { unsafe text[at + 2 + offset] = byte }
  }

  /// The UTF-16 code unit of `\uXXXX` at `at`; nil where no such escape stands there.
  private static func escapedUnit(_ text: UnsafeMutableRawBufferPointer, _ at: Int) -> UInt16? {
    guard at + 6 <= text.count, unsafe text[at] == UInt8(ascii: "\\") && text[at + 1] == UInt8(ascii: "u") else {
      return nil
    }
    var unit: UInt16 = 0
    for offset in 2..<6 {
      guard let digit = unsafe Character(Unicode.Scalar(text[at + offset])).hexDigitValue else { return nil }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }
}
