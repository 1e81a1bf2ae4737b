// A chunked body read strictly: where its data stands in each read, its trailers, and where it ends.
// It must not copy data, nor follow anybody who is more lenient than RFC 9112 §7.1.
import HTTP

/// How far a chunked body has been read: a pure value, fed with each read's bytes.
///
/// Every line ends with CRLF and with nothing else, sizes are one to sixteen hexadecimal digits, extensions keep to their
/// grammar, and nothing stands between: where servers differ in what they forgive, requests are smuggled
/// (Documentation.docc/HTTPCases.md, case 28).
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

  /// Beyond these, digits would have to be zeros or too many for 64 bits.
  private static let mostDigits = 16

  private var expected = Expected.size
  private var hasBeenAsWritten = false
  private var digits = 0
  /// The present chunk's size as it is read, then what is still to come of its data.
  private var remaining: UInt64 = 0
  private var hasContent = false
  private var extensionBytes = 0
  private var trailerBytes = 0
  private var nameStart = 0
  private var name = 0..<0
  /// The trailer fields that were read so far.
  private(set) var trailers = Fields()

  /// Whether the last byte of the body has been read.
  var isComplete: Bool { expected == .nothing }

  /// Whether what the last `read` took is whole chunks, the body's end among them or not, and nothing else: just as
  /// `BodyEncoder` would write them.
  var isCanonical: Bool {
    hasBeenAsWritten && (expected == .size || expected == .nothing && trailers.bytes.isEmpty)
  }

  /// Forgets the body, for the next one.
  mutating func restart() {
    if !trailers.bytes.isEmpty { trailers = Fields() }
    hasBeenAsWritten = false
    expected = .size
    digits = 0
    remaining = 0
    hasContent = false
    extensionBytes = 0
    trailerBytes = 0
    nameStart = 0
    name = 0..<0
  }

  /// Reads on in `bytes` from `start`, which has to be before their end.
  /// - Returns: where reading stopped: behind the body, or at the end of the bytes.
  mutating func read(
    _ bytes: UnsafeRawBufferPointer, from start: Int, limits: HTTPLimits, ranges: BodyRanges
  ) throws(HTTPParseError) -> Int {
    var index = start
    hasBeenAsWritten = start < bytes.count && expected == .size && digits == 0
    while index < bytes.count {
      let byte = unsafe bytes[index]
      switch expected {
      case .data:
        let count = Int(min(remaining, UInt64(bytes.count - index)))
        ranges.append(index, count: count)
        remaining -= UInt64(count)
        index += count
        guard remaining == 0 else { continue }
        // The line's end and the next size are mostly there with the data: read in one go, or else byte by byte.
        guard unsafe Self.endsLine(bytes, at: index) else {
          expected = .dataReturn
          continue
        }
        index += 2
        expected = .size
        digits = 0
        continue
      case .size where digits == 0:
        if let end = unsafe readSizeLine(bytes, at: index) {
          index = end
          continue
        }
        hasBeenAsWritten = false
        try readSize(byte, limits)
      case .dataReturn:
        guard byte == ASCII.carriageReturn else { throw Self.unended }
        expected = .dataLineFeed
      case .dataLineFeed:
        guard byte == ASCII.lineFeed else { throw Self.unended }
        expected = .size
        digits = 0
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

  /// Reads a size line that is whole and nothing but a size; leaves everything as it is where it is another.
  /// - Returns: what follows it.
  private mutating func readSizeLine(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Int? {
    var index = start
    var size: UInt64 = 0
    // Of all hexadecimal digits only the capital letters lack this bit.
    var smallLetters: UInt8 = 0x20
    // Longer ones may be too large, which is told elsewhere.
    while index < bytes.count, index - start < 7, let digit = unsafe ASCII.hexDigit(bytes[index]) {
      size = size << 4 | UInt64(digit)
      unsafe smallLetters &= bytes[index]
      index += 1
    }
    guard index > start, unsafe Self.endsLine(bytes, at: index) else { return nil }
    digits = index - start
    if unsafe smallLetters == 0 || bytes[start] == ASCII.zero && digits > 1 { hasBeenAsWritten = false }
    remaining = size
    expected = size == 0 ? .trailer : .data
    return index + 2
  }

  private mutating func readSize(_ byte: UInt8, _ limits: HTTPLimits) throws(HTTPParseError) {
    if let digit = ASCII.hexDigit(byte) {
      if digits == 0 { remaining = 0 }
      digits += 1
      guard digits <= Self.mostDigits, remaining >> 59 == 0 else {
        throw HTTPParseError(.malformedChunk, "chunk size is too large")
      }
      remaining = remaining << 4 | UInt64(digit)
    } else if digits == 0 {
      throw HTTPParseError(.malformedChunk, "chunk size is not a plain hexadecimal number")
    } else {
      try endPart(byte, limits, "chunk size is not a plain hexadecimal number")
    }
  }

  /// What may follow a size or an extension: a further extension, or the end of the line.
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

  /// A trailer that frames could make another message of this one (RFC 9110 §6.5.1).
  private mutating func endTrailer() throws(HTTPParseError) {
    let value = name.upperBound + 1..<trailers.bytes.count - 1
    guard !trailers.isRefusedTrailer(name) else {
      throw HTTPParseError(.malformedTrailers, "a trailer that would frame")
    }
    trailers.list.append(Field(name: name, value: trailers.trimmed(value)))
  }
}
