// Shortening an event that is longer than its bound: what is long in it (a picture, a list of token ids) is passed over, its
// other members are kept.

/// Copies the text of one event without the inside of its long strings and the rest of its long lists of numbers. Its result
/// does not depend on how the text is cut. JSON stays JSON.
struct EventShortener {
  /// Scalars that are kept of a string, and bytes that are kept of a list of numbers.
  static let kept = 256

  private enum State {
    case outside
    /// In a list of numbers of which enough is kept.
    case skippingNumbers
    case string
    /// Behind a backslash.
    case escape
    /// Among the four digits behind `\u`; how many are left.
    case digits(Int)
  }

  private var state = State.outside
  /// Scalars of the string, or bytes since the last bracket, quote or colon outside of strings.
  private var count = 0
  private var isSkipping = false
  /// Something was left out.
  private(set) var hasSkipped = false

  init() {}

  /// Appends what is kept of `bytes` to `text`.
  mutating func feed(_ bytes: RawSpan, to text: inout [UInt8]) {
    for offset in 0..<bytes.byteCount {
      if keeps(bytes[offset], &text) { text.append(bytes[offset]) }
    }
  }

  /// Whether the next byte is kept.
  private mutating func keeps(_ byte: UInt8, _ text: inout [UInt8]) -> Bool {
    switch state {
    case .outside: return keepsOutside(byte)
    case .skippingNumbers:
      guard byte.isBracketOrQuote else { return false }
      // The comma that began what was left out, for what comes behind it.
      if byte != UInt8(ascii: "]"), byte != UInt8(ascii: "}") { text.append(UInt8(ascii: ",")) }
      state = .outside
      return keepsOutside(byte)
    case .string: return keepsInString(byte)
    case .escape:
      state = byte == UInt8(ascii: "u") ? .digits(4) : .string
      return !isSkipping
    case .digits(let left):
      state = left > 1 ? .digits(left - 1) : .string
      return !isSkipping
    }
  }

  private mutating func keepsOutside(_ byte: UInt8) -> Bool {
    if byte == UInt8(ascii: "\"") { state = .string }
    if byte.isBracketOrQuote {
      count = 0
      return true
    }
    count += 1
    guard count > Self.kept, byte == UInt8(ascii: ",") else { return true }
    state = .skippingNumbers
    hasSkipped = true
    return false
  }

  private mutating func keepsInString(_ byte: UInt8) -> Bool {
    if byte == UInt8(ascii: "\"") {
      state = .outside
      count = 0
      isSkipping = false
      return true
    }
    if byte & 0xC0 != 0x80 {
      if count == Self.kept {
        isSkipping = true
        hasSkipped = true
      } else {
        count += 1
      }
    }
    if byte == UInt8(ascii: "\\") { state = .escape }
    return !isSkipping
  }
}

extension UInt8 {
  fileprivate var isBracketOrQuote: Bool {
    switch self {
    case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "\""),
      UInt8(ascii: ":"):
      true
    default: false
    }
  }
}

/// A line or an event that is being collected from read to read, shortened where it grows beyond its bound.
struct BoundedText {
  private let limit: Int
  private(set) var bytes: [UInt8] = []
  /// Bytes that came, kept or not.
  private var length = 0
  private var shortener: EventShortener?
  /// Even shortened it is too long: nothing of it is kept.
  private(set) var isLost = false

  init(limit: Int) { self.limit = limit }

  /// Nothing has come.
  var isEmpty: Bool { length == 0 }
  /// Something was left out.
  var isShortened: Bool { shortener != nil }

  /// Adds the next bytes.
  mutating func append(_ more: RawSpan) {
    length += more.byteCount
    guard !isLost else { return }
    if shortener == nil {
      guard length > limit else { return bytes.append(more) }
      var shortener = EventShortener()
      var short: [UInt8] = []
      unsafe shortener.feed(bytes.span.bytes, to: &short)
      bytes = short
      self.shortener = shortener
    }
    shortener?.feed(more, to: &bytes)
    if bytes.count > limit {
      bytes = []
      isLost = true
    }
  }

  /// Forgets everything, and frees memory that an idle stream should not have.
  mutating func clear() {
    bytes.clear()
    length = 0
    if shortener != nil { shortener = nil }
    isLost = false
  }
}
