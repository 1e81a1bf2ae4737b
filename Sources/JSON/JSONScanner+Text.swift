// The parts of a scan that most bytes are in: strings, which are skipped by the word, and literals.

extension JSONScanner {
  /// Reads the next piece of the text.
  public mutating func scan(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { bytes in
      var index = 0
      while index < bytes.count {
        switch mode {
        case .structure:
          unsafe readStructure(bytes[index])
          index += 1
        case .string: unsafe scanString(bytes, &index)
        case .escape:
          unsafe keep(UnsafeRawBufferPointer(rebasing: bytes[index...index]))
          index += 1
          mode = .string
        case .bare: unsafe scanBare(bytes, &index)
        }
      }
    }
  }

  // MARK: Strings

  mutating func beginString() {
    mode = .string
    captureString()
  }

  private mutating func scanString(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) {
    let end = unsafe Self.quoteOrEscape(in: bytes, from: index)
    unsafe keep(UnsafeRawBufferPointer(rebasing: bytes[index..<end]))
    index = end
    guard end < bytes.count else { return }
    index += 1
    if unsafe bytes[end] == UInt8(ascii: "\\") {
      unsafe keep(UnsafeRawBufferPointer(rebasing: bytes[end...end]))
      mode = .escape
    } else {
      mode = .structure
      stringEnded()
    }
  }

  @inline(__always)
  private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
    guard capture != .none else { return }
    let limit = capture == .key ? Self.keptKeyBytes : Self.keptBytes
    unsafe captured.append(contentsOf: bytes.prefix(max(0, limit - captured.count)))
  }

  /// Where the next quote or backslash is; the end where there is none. Eight bytes at a time: a byte of `word ^ pattern` is 0
  /// where both are the same, and `(x - 1) & ~x` has the highest bit of the first such byte set.
  private static func quoteOrEscape(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = ones &* UInt64(UInt8(ascii: "\""))
    let escapes = ones &* UInt64(UInt8(ascii: "\\"))
    var index = start
    while index &+ 8 <= bytes.count {
      let word = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let (quote, escape) = (word ^ quotes, word ^ escapes)
      let found = (((quote &- ones) & ~quote) | ((escape &- ones) & ~escape)) & (ones &<< 7)
      if found != 0 { return index &+ found.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < bytes.count {
      let byte = unsafe bytes[index]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return index }
      index &+= 1
    }
    return index
  }

  private mutating func stringEnded() {
    switch expectation {
    case .keyOrEnd, .key: keyEnded()
    case .value, .valueOrEnd: valueEnded(isString: true)
    case .root, .nothing: damage()
    case .colon, .commaOrEnd:
      damage()
      if followsStrayWord, isSeparator { restartString() } else { keyEnded() }
    }
    followsStrayWord = false
  }

  /// Whether the string's text is a comma, as between two members: then its quotes are the last of one and the first of another.
  private var isSeparator: Bool {
    captured.contains(UInt8(ascii: ",")) && captured.allSatisfy { ", \n\r\t".utf8.contains($0) }
  }

  /// The quote that seemed to end a string begins one.
  private mutating func restartString() {
    nextMember()
    beginString()
  }

  // MARK: Literals

  mutating func beginBare(_ byte: UInt8) {
    mode = .bare
    // A word that ends with the text is not ended by a byte.
    if expectation == .nothing { damage() }
    captured.removeAll(keepingCapacity: true)
    capture = expectation == .value && target != nil ? .value : .none
    keepBare(byte)
  }

  private mutating func keepBare(_ byte: UInt8) {
    if capture != .none, captured.count < Self.keptKeyBytes { captured.append(byte) }
  }

  private mutating func scanBare(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) {
    while index < bytes.count {
      let byte = unsafe bytes[index]
      switch byte {
      case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["),
        UInt8(ascii: "]"), UInt8(ascii: "\""), 0...0x20:
        mode = .structure
        return bareEnded()
      default:
        keepBare(byte)
        index &+= 1
      }
    }
  }

  private mutating func bareEnded() {
    switch expectation {
    case .value, .valueOrEnd: valueEnded(isString: false)
    default:
      damage()
      followsStrayWord = true
    }
  }
}
