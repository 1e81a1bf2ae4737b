// Running over numbers and objects of a JSON text without a parser: where they end.
// It must not judge what is inside an object: that is parsed by itself.

/// A whole number without sign (RFC 8259 §6).
enum WholeNumber {
  /// The length of the one that begins at `start`; 0 where there is none, or one with a leading zero, or of more than 18
  /// digits.
  static func length(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> Int {
    var at = start
    while at < limit, unsafe bytes.load(fromByteOffset: at, as: UInt8.self) &- 0x30 < 10 { at &+= 1 }
    let count = at - start
    guard count > 0, count <= 18 else { return 0 }
    let isPadded = unsafe bytes.load(fromByteOffset: start, as: UInt8.self) == 0x30 && count > 1
    return isPadded ? 0 : count
  }

  /// The same, in a span.
  static func length(_ bytes: RawSpan, from start: Int) -> Int {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return 0 }
      return unsafe length(base, from: start, limit: bytes.count)
    }
  }
}

/// An object, or what looks like one.
enum ObjectScan {
  /// Where the object that begins at `start` ends, by its brackets and quotes alone; nil where it does not begin or end
  /// there, or holds a control byte (a line end would end the event's line).
  static func end(_ bytes: UnsafeRawPointer, from start: Int, limit: Int) -> Int? {
    guard start < limit, unsafe bytes.load(fromByteOffset: start, as: UInt8.self) == UInt8(ascii: "{") else {
      return nil
    }
    var depth = 0
    var at = start
    while at < limit {
      let byte = unsafe bytes.load(fromByteOffset: at, as: UInt8.self)
      at &+= 1
      switch byte {
      case 0..<0x20: return nil
      case UInt8(ascii: "\""):
        guard let string = unsafe StringScan(bytes, from: at, limit: limit) else { return nil }
        at = string.end &+ 1
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth &+= 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth &-= 1
        if depth == 0 { return at }
      default: break
      }
    }
    return nil
  }

  /// The same, in a span.
  static func end(_ bytes: RawSpan, from start: Int) -> Int? {
    unsafe bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return nil }
      return unsafe end(base, from: start, limit: bytes.count)
    }
  }
}
