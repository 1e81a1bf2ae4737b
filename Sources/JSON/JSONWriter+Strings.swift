// Strings, quoted and escaped.

extension JSONWriter {
  /// A string, quoted; escaped where RFC 8259 §7 asks for it and nowhere else.
  public mutating func string(_ text: borrowing String) {
    let isWritten: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe quoted($0) }
    guard isWritten == nil else { return }
    // Bridged from elsewhere, or in pieces: not met on this system, but a String may be.
    var whole = copy text
    whole.withUTF8 { unsafe quoted($0) }
  }

  @inline(__always)
  mutating func quoted(_ text: UnsafeBufferPointer<UInt8>) {
    // The most that a byte can become is \u00XX.
    reserve(text.count * 6 + 2)
    let start = unsafe memory + written
    unsafe start[0] = UInt8(ascii: "\"")
    guard unsafe Self.copyPlain(text, to: UnsafeMutableRawPointer(start + 1)) else { return unsafe quotedEscaped(text) }
    unsafe start[1 + text.count] = UInt8(ascii: "\"")
    written += text.count + 2
  }

  /// The same byte by byte, where something is to be escaped. Room must have been reserved.
  @inline(never)
  mutating func quotedEscaped(_ text: UnsafeBufferPointer<UInt8>) {
    byte(UInt8(ascii: "\""))
    for index in text.indices {
      let next = unsafe text[index]
      if next >= 0x20, next != UInt8(ascii: "\""), next != UInt8(ascii: "\\") {
        byte(next)
      } else {
        unsafe written += Self.escape(next, to: memory + written)
      }
    }
    byte(UInt8(ascii: "\""))
  }

  /// Copies `text` as it stands, a word at a time.
  /// - Returns: false where something in it is to be escaped: what was copied is of no use then.
  @inline(__always)
  private static func copyPlain(_ text: UnsafeBufferPointer<UInt8>, to target: UnsafeMutableRawPointer) -> Bool {
    guard let source = unsafe UnsafeRawPointer(text.baseAddress) else { return true }
    // The last word begins where a whole one fits: bytes before it are written twice, and alike.
    let last = text.count - 8
    guard last >= 0 else { return unsafe copyPlainBytes(source, text.count, to: target) }
    var place = 0
    while place < last {
      let word = unsafe source.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      guard isPlain(word) else { return false }
      unsafe target.storeBytes(of: word, toByteOffset: place, as: UInt64.self)
      place &+= 8
    }
    let word = unsafe source.loadUnaligned(fromByteOffset: last, as: UInt64.self)
    unsafe target.storeBytes(of: word, toByteOffset: last, as: UInt64.self)
    return isPlain(word)
  }

  /// The same for fewer than eight bytes.
  @inline(__always)
  private static func copyPlainBytes(
    _ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer
  ) -> Bool {
    if count >= 4 {
      let first = unsafe source.loadUnaligned(as: UInt32.self)
      let last = unsafe source.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self)
      unsafe target.storeBytes(of: first, as: UInt32.self)
      unsafe target.storeBytes(of: last, toByteOffset: count - 4, as: UInt32.self)
      return isPlain(UInt64(first) << 32 | UInt64(last))
    }
    for place in 0..<count {
      let byte = unsafe source.load(fromByteOffset: place, as: UInt8.self)
      unsafe target.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
      guard byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { return false }
    }
    return true
  }

  /// Whether none of a word's eight bytes is a control character, a quote or a backslash. Without its own high bit a byte
  /// plus 0x60 has one from 0x20 on, and its difference from another plus 0x7F unless the two are the same.
  @inline(__always)
  private static func isPlain(_ word: UInt64) -> Bool {
    let low = word & each(0x7F)
    let isPrintable = low &+ each(0x60)
    let isNoQuote = (low ^ each(0x22)) &+ each(0x7F)
    let isNoBackslash = (low ^ each(0x5C)) &+ each(0x7F)
    return (isPrintable & isNoQuote & isNoBackslash | word) & each(0x80) == each(0x80)
  }

  @inline(__always)
  private static func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }

  /// Writes the escape of a control character, a quote or a backslash; returns its length.
  private static func escape(_ byte: UInt8, to place: UnsafeMutablePointer<UInt8>) -> Int {
    unsafe place[0] = UInt8(ascii: "\\")
    let short: UInt8? =
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): byte
      case 0x08: UInt8(ascii: "b")
      case 0x09: UInt8(ascii: "t")
      case 0x0A: UInt8(ascii: "n")
      case 0x0C: UInt8(ascii: "f")
      case 0x0D: UInt8(ascii: "r")
      default: nil
      }
    if let short {
      unsafe place[1] = short
      return 2
    }
    unsafe place[1] = UInt8(ascii: "u")
    unsafe place[2] = UInt8(ascii: "0")
    unsafe place[3] = UInt8(ascii: "0")
    unsafe place[4] = UInt8(ascii: "0") + byte >> 4
    let low = byte & 15
    unsafe place[5] = low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10
    return 6
  }

  /// A string of `count` bytes that `write` puts in their place, quoted. None of them may need to be escaped.
  @unsafe
  public mutating func plainString(_ count: Int, _ write: (UnsafeMutableRawPointer) -> Void) {
    reserve(count + 2)
    byte(UInt8(ascii: "\""))
    unsafe write(UnsafeMutableRawPointer(memory + written))
    written += count
    byte(UInt8(ascii: "\""))
  }

  /// A string as `string` writes it, with every character escaped besides on which a terminal would act: controls, format
  /// characters, line and paragraph separators.
  public mutating func terminalSafeString(_ text: String) {
    raw("\"")
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: escaped(scalar)
      default: inside(scalar)
      }
    }
    raw("\"")
  }

  private mutating func inside(_ scalar: Unicode.Scalar) {
    reserve(8)
    if scalar == "\"" || scalar == "\\" { byte(UInt8(ascii: "\\")) }
    for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { byte(unit) }
  }

  private mutating func escaped(_ scalar: Unicode.Scalar) {
    reserve(12)
    if scalar.value < 0x20 {
      unsafe written += Self.escape(UInt8(scalar.value), to: memory + written)
      return
    }
    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
      writeReserved("\\u")
      for shift in [12, 8, 4, 0] {
        let digit = UInt8(truncatingIfNeeded: unit >> UInt16(shift)) & 15
        byte(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      }
    }
  }
}
