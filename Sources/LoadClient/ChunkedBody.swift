// Finds the end of a chunked body and the data in it, in a fraction of a full parser's time.
// It must not be used by the proxy: what is malformed is only noticed where it would hide the end.

/// A walk through one chunked body (RFC 9112 §7.1), given in any pieces.
struct ChunkedBody {
  enum Progress: Hashable {
    case needsMore
    case complete
    case broken
  }
  private enum State {
    case size
    case sizeExtension
    case data
    case dataEnd
    case trailerStart
    case trailer
  }
  private var state = State.size
  private var remaining = 0
  private var digits = 0

  /// Walks on through `bytes` from `start`; each piece of data is given to `data`.
  /// - Returns: the index behind the last byte used, and how far that led.
  mutating func walk(
    _ bytes: UnsafeRawBufferPointer, from start: Int, data: (Range<Int>) -> Void
  ) -> (end: Int, Progress) {
    var index = start
    while index < bytes.count {
      if case .data = state {
        let end = min(bytes.count, index + remaining)
        data(index..<end)
        remaining -= end - index
        index = end
        if remaining == 0 { state = .dataEnd }
        continue
      }
      let byte = unsafe bytes[index]
      index += 1
      switch state {
      case .size: if !takeSize(byte) { return (index, .broken) }
      case .sizeExtension: if byte == 0x0A { endSizeLine() }
      case .data: break
      case .dataEnd: if byte == 0x0A { state = .size } else if byte != 0x0D { return (index, .broken) }
      case .trailerStart:
        if byte == 0x0A { return (index, .complete) }
        if byte != 0x0D { state = .trailer }
      case .trailer: if byte == 0x0A { state = .trailerStart }
      }
    }
    return (index, .needsMore)
  }

  private mutating func takeSize(_ byte: UInt8) -> Bool {
    let digit: UInt8
    switch byte {
    case 0x30...0x39: digit = byte - 0x30
    case 0x41...0x46: digit = byte - 0x41 + 10
    case 0x61...0x66: digit = byte - 0x61 + 10
    case 0x0A where digits > 0:
      endSizeLine()
      return true
    case 0x0D where digits > 0, 0x20 where digits > 0, 0x3B where digits > 0:
      state = .sizeExtension
      return true
    default: return false
    }
    digits += 1
    remaining = remaining << 4 | Int(digit)
    return digits <= 15
  }

  private mutating func endSizeLine() {
    state = remaining == 0 ? .trailerStart : .data
    digits = 0
  }
}
