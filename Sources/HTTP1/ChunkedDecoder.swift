// Decodes chunked bodies strictly: where the data is in each read, the trailers, and where the body ends.
// It must not accept more than RFC 9112 §7.1 does: where two readers differ, requests are smuggled.
import HTTP

/// How far a chunked body has been decoded: a value that is given the bytes of each read, and copies no data.
///
/// Every line ends with exactly CRLF, sizes are one to sixteen hexadecimal digits, extensions follow their grammar, and
/// nothing is allowed between them (Documentation.docc/HTTPCases.md, case 28).
struct ChunkedDecoder {
  private enum Expected {
    case size
    case sizeLineFeed
    case extensionName
    case extensionValue
    case quotedText
    case escapedByte
    case quoteEnd
    case data
    case dataReturn
    case dataLineFeed
    case trailer
    case trailerName
    case trailerValue
    case trailerLineFeed
    case lastLineFeed
    case nothing
  }

  /// Most digits of a size: 64 bits.
  private static let maxDigits = 16

  private var expected = Expected.size
  /// Where in the last read chunks stand that are whole and exactly as `BodyEncoder` encodes them, one behind the other, with
  /// the body's end where that follows: the first such run.
  private(set) var verbatim = 0..<0
  /// Where the present chunk's size line begins, if it can belong to such a run.
  private var lineStart: Int?
  /// How many bytes the last `read` consumed.
  private var consumed = 0
  private var digits = 0
  /// The present chunk's size while it is read, then the bytes of its data that have not come.
  private var remaining: UInt64 = 0
  private var hasContent = false
  private var extensionBytes = 0
  private var trailerBytes = 0
  private var nameStart = 0
  private var name = 0..<0
  /// The trailer fields read so far.
  private(set) var trailers = Fields()

  /// Whether the last byte of the body has been read.
  var isComplete: Bool { expected == .nothing }

  /// Whether the last `read` consumed whole chunks only, with or without the body's end, exactly as `BodyEncoder` encodes them.
  var isCanonical: Bool { !verbatim.isEmpty && verbatim == 0..<consumed }

  /// Prepares for the next body.
  mutating func reset() {
    if !trailers.bytes.isEmpty { trailers = Fields() }
    verbatim = 0..<0
    expected = .size
    digits = 0
    remaining = 0
    hasContent = false
    extensionBytes = 0
    trailerBytes = 0
    nameStart = 0
    name = 0..<0
  }

  /// Decodes `bytes` from `start`, which has to be before their end.
  /// - Returns: where decoding stopped: behind the body, or at the end of the bytes.
  mutating func read(
    _ bytes: UnsafeRawBufferPointer, from start: Int, limits: HTTPLimits, ranges: BodyRanges
  ) throws(HTTPParseError) -> Int {
    verbatim = 0..<0
    lineStart = nil
    consumed = 0
    consumed = unsafe try decode(bytes, from: start, limits: limits, ranges: ranges)
    return consumed
  }

  private mutating func decode(
    _ bytes: UnsafeRawBufferPointer, from start: Int, limits: HTTPLimits, ranges: BodyRanges
  ) throws(HTTPParseError) -> Int {
    var index = start
    while index < bytes.count {
      let byte = unsafe bytes[index]
      switch expected {
      case .data:
        let count = Int(min(remaining, UInt64(bytes.count - index)))
        ranges.append(index, count: count)
        remaining -= UInt64(count)
        index += count
        guard remaining == 0 else { continue }
        // The line's end and the next size are mostly in the same read: then they are decoded at once, not byte by byte.
        guard unsafe Self.endsLine(bytes, at: index) else {
          expected = .dataReturn
          continue
        }
        index += 2
        endChunk(at: index)
        continue
      case .size where digits == 0:
        index = unsafe readWholeChunks(bytes, from: index, ranges)
        guard index < bytes.count else { continue }
        if let line = unsafe Self.sizeLine(bytes, at: index) {
          begin(line, at: index)
          index = line.end
          continue
        }
        lineStart = nil
        unsafe try readSize(bytes[index], limits)
      case .dataReturn:
        guard byte == ASCII.carriageReturn else { throw Self.unended }
        expected = .dataLineFeed
      case .dataLineFeed:
        guard byte == ASCII.lineFeed else { throw Self.unended }
        endChunk(at: index + 1)
      case .size:
        try readSize(byte, limits)
      case .sizeLineFeed:
        guard byte == ASCII.lineFeed else {
          throw HTTPParseError(.malformedChunk, "a chunk's size line does not end with CRLF")
        }
        expected = remaining == 0 ? .trailer : .data
      case .extensionName, .extensionValue, .quotedText, .escapedByte, .quoteEnd:
        try readExtension(byte, limits)
      case .trailer, .trailerName, .trailerValue, .trailerLineFeed:
        try readTrailer(byte, limits)
      case .lastLineFeed:
        guard byte == ASCII.lineFeed else { throw HTTPParseError(.malformedTrailers, "trailers do not end with CRLF") }
        expected = .nothing
        if trailers.bytes.isEmpty { extendVerbatim(to: index + 1) }
        return index + 1
      case .nothing:
        return index
      }
      index += 1
    }
    return index
  }

  private static let unended = HTTPParseError(
    .malformedChunk, "a chunk's data does not end with CRLF where its size says")

  private static func endsLine(_ bytes: UnsafeRawBufferPointer, at index: Int) -> Bool {
    unsafe index + 1 < bytes.count && bytes[index] == ASCII.carriageReturn && bytes[index + 1] == ASCII.lineFeed
  }

  private struct SizeLine {
    let size: Int
    let digits: Int
    /// Whether it is written as `BodyEncoder` writes it.
    let isCanonical: Bool
    /// The index behind it.
    let end: Int
  }

  /// A size line that is whole and has no extension; nil for any other.
  @inline(__always)
  private static func sizeLine(_ bytes: UnsafeRawBufferPointer, at start: Int) -> SizeLine? {
    var index = start
    var size = 0
    // Of all hexadecimal digits only the capital letters lack this bit.
    var smallLetters: UInt8 = 0x20
    // Longer sizes may be too large: `readSize` checks that.
    while index < bytes.count, index - start < 7, let digit = unsafe ASCII.hexDigit(bytes[index]) {
      size = size << 4 | Int(digit)
      unsafe smallLetters &= bytes[index]
      index += 1
    }
    guard index > start, unsafe endsLine(bytes, at: index) else { return nil }
    let digits = index - start
    let isOther = unsafe smallLetters == 0 || bytes[start] == ASCII.zero && digits > 1
    return SizeLine(size: size, digits: digits, isCanonical: !isOther, end: index + 2)
  }

  /// Decodes the chunks that stand in `bytes` from `start` on and are whole, as nearly all are.
  /// - Returns: the index behind them.
  private mutating func readWholeChunks(
    _ bytes: UnsafeRawBufferPointer, from start: Int, _ ranges: BodyRanges
  ) -> Int {
    var index = start
    while let line = unsafe Self.sizeLine(bytes, at: index), line.size > 0, line.size <= bytes.count - line.end,
      unsafe Self.endsLine(bytes, at: line.end + line.size)
    {
      ranges.append(line.end, count: line.size)
      lineStart = line.isCanonical ? index : nil
      index = line.end + line.size + 2
      extendVerbatim(to: index)
    }
    return index
  }

  /// What follows a size line is expected.
  private mutating func begin(_ line: SizeLine, at index: Int) {
    lineStart = line.isCanonical ? index : nil
    digits = line.digits
    remaining = UInt64(line.size)
    expected = line.size == 0 ? .trailer : .data
  }

  private mutating func endChunk(at index: Int) {
    expected = .size
    digits = 0
    extendVerbatim(to: index)
  }

  /// The chunk or the end of the body whose size line is the present one ends at `end`.
  @inline(__always)
  private mutating func extendVerbatim(to end: Int) {
    guard let lineStart else { return }
    if verbatim.isEmpty {
      verbatim = lineStart..<end
    } else if verbatim.upperBound == lineStart {
      verbatim = verbatim.lowerBound..<end
    }
  }

  private mutating func readSize(_ byte: UInt8, _ limits: HTTPLimits) throws(HTTPParseError) {
    if let digit = ASCII.hexDigit(byte) {
      if digits == 0 { remaining = 0 }
      digits += 1
      guard digits <= Self.maxDigits, remaining >> 59 == 0 else {
        throw HTTPParseError(.malformedChunk, "chunk size is too large")
      }
      remaining = remaining << 4 | UInt64(digit)
    } else if digits == 0 {
      throw HTTPParseError(.malformedChunk, "chunk size is not a plain hexadecimal number")
    } else {
      try endPart(byte, limits, "chunk size is not a plain hexadecimal number")
    }
  }

  /// What may follow a size or an extension: another extension, or the end of the line.
  private mutating func endPart(_ byte: UInt8, _ limits: HTTPLimits, _ detail: String) throws(HTTPParseError) {
    switch byte {
    case ASCII.carriageReturn:
      expected = .sizeLineFeed
    case ASCII.semicolon:
      expected = .extensionName
      hasContent = false
      try countExtension(limits)
    default:
      throw HTTPParseError(.malformedChunk, detail)
    }
  }

  private mutating func countExtension(_ limits: HTTPLimits) throws(HTTPParseError) {
    extensionBytes += 1
    guard extensionBytes <= limits.chunkExtensionBytes else {
      throw HTTPParseError(.chunkExtensionsTooLarge, "chunk extensions larger than \(limits.chunkExtensionBytes) bytes")
    }
  }

  private mutating func readExtension(_ byte: UInt8, _ limits: HTTPLimits) throws(HTTPParseError) {
    let detail = "malformed chunk extension"
    if byte != ASCII.carriageReturn, byte != ASCII.semicolon { try countExtension(limits) }
    switch expected {
    case .extensionName where ASCII.isToken(byte), .extensionValue where ASCII.isToken(byte):
      hasContent = true
    case .extensionName where hasContent && byte == ASCII.equals:
      expected = .extensionValue
      hasContent = false
    case .extensionValue where !hasContent && byte == ASCII.quote:
      expected = .quotedText
    case .extensionName where hasContent, .extensionValue where hasContent, .quoteEnd:
      try endPart(byte, limits, detail)
    case .quotedText where byte == ASCII.quote:
      expected = .quoteEnd
    case .quotedText where byte == ASCII.backslash:
      expected = .escapedByte
    case .quotedText where ASCII.isFieldValue(byte):
      if byte == ASCII.semicolon { try countExtension(limits) }
    case .escapedByte where ASCII.isFieldValue(byte):
      expected = .quotedText
    default:
      throw HTTPParseError(.malformedChunk, detail)
    }
  }

  private mutating func readTrailer(_ byte: UInt8, _ limits: HTTPLimits) throws(HTTPParseError) {
    trailerBytes += 1
    guard trailerBytes <= limits.trailerBytes else {
      throw HTTPParseError(.trailersTooLarge, "trailers larger than \(limits.trailerBytes) bytes")
    }
    switch expected {
    case .trailer where byte == ASCII.carriageReturn:
      expected = .lastLineFeed
      return
    case .trailer where ASCII.isToken(byte):
      expected = .trailerName
      nameStart = trailers.bytes.count
    case .trailerName where ASCII.isToken(byte):
      break
    case .trailerName where byte == ASCII.colon:
      expected = .trailerValue
      name = nameStart..<trailers.bytes.count
    case .trailerValue where byte == ASCII.carriageReturn:
      expected = .trailerLineFeed
    case .trailerValue where ASCII.isFieldValue(byte):
      break
    case .trailerLineFeed where byte == ASCII.lineFeed:
      expected = .trailer
      try endTrailer()
    default:
      throw HTTPParseError(.malformedTrailers, "malformed trailer")
    }
    trailers.bytes.append(byte)
  }

  /// Refuses a trailer that would change the framing (RFC 9110 §6.5.1).
  private mutating func endTrailer() throws(HTTPParseError) {
    let value = name.upperBound + 1..<trailers.bytes.count - 1
    guard !trailers.isRefusedTrailer(name) else {
      throw HTTPParseError(.malformedTrailers, "a trailer that would frame")
    }
    trailers.list.append(Field(name: name, value: trailers.trimmed(value)))
  }
}
