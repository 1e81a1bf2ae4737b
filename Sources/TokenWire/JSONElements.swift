// Cutting one JSON array that is sent piece by piece into its elements, however the reads cut it.

/// Bytes of an array in any split go in, its elements that are objects or arrays come out, each when its last bracket comes.
/// Memory is bounded.
struct JSONElements {
  private let limit: Int
  /// The element that has begun, where it did so in an earlier read.
  private var element: BoundedText
  /// Brackets that are open, the array's own among them.
  private var depth = 0
  private var isInString = false
  private var isEscaped = false
  /// An element was longer than the limit.
  private(set) var hasOverlong = false

  init(limit: Int) {
    self.limit = limit
    element = BoundedText(limit: limit)
  }

  /// Reads the next bytes of the array.
  mutating func feed<Context>(
    _ bytes: RawSpan, _ context: inout Context, dispatch: (inout Context, _ payload: RawSpan, EventFlags) -> Void
  ) {
    var start = 0
    for offset in 0..<bytes.byteCount {
      switch step(bytes[offset]) {
      case .inside: break
      case .begins: start = offset
      case .ends: endElement(bytes.extracting(start..<(offset + 1)), &context, dispatch)
      }
    }
    if depth > 1 { element.append(bytes.extracting(start..<bytes.byteCount)) }
  }

  private enum Step {
    case inside
    /// The byte is an element's first.
    case begins
    /// The byte is an element's last.
    case ends
  }

  private mutating func step(_ byte: UInt8) -> Step {
    if isInString {
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isInString = false
      }
      return .inside
    }
    switch byte {
    case UInt8(ascii: "\""): isInString = true
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      depth += 1
      if depth == 2 { return .begins }
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      depth = max(depth - 1, 0)
      if depth == 1 { return .ends }
    default: break
    }
    return .inside
  }

  private mutating func endElement<Context>(
    _ rest: RawSpan, _ context: inout Context, _ dispatch: (inout Context, _ payload: RawSpan, EventFlags) -> Void
  ) {
    if element.isEmpty, rest.byteCount <= limit { return dispatch(&context, rest, []) }
    element.append(rest)
    if element.isShortened { hasOverlong = true }
    if !element.isLost {
      unsafe dispatch(&context, element.bytes.span.bytes, element.isShortened ? .shortened : [])
    }
    element.clear()
  }
}
