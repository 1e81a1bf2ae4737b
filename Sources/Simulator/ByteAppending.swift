// Appending texts, numbers, JSON strings and HTTP chunks to bytes.
import JSON

extension [UInt8] {
  mutating func append(_ text: StaticString) {
    unsafe append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func append(_ text: String) { append(contentsOf: text.utf8) }

  /// A decimal number.
  mutating func append(decimal value: some FixedWidthInteger) {
    if value < 0 { append(UInt8(ascii: "-")) }
    var rest = value.magnitude
    let start = count
    repeat {
      append(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
    } while rest > 0
    self[start...].reverse()
  }

  /// A JSON string with its quotes.
  mutating func append(jsonString text: String) {
    var writer = JSONWriter(capacity: 0)
    writer.string(text)
    writer.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) } }
  }

  /// One HTTP chunk (RFC 9112 §7.1).
  mutating func append(chunk data: [UInt8]) {
    var shift = (Int.bitWidth - 1 - Swift.max(data.count, 1).leadingZeroBitCount) & ~3
    while shift >= 0 {
      append(hexDigits[(data.count >> shift) & 15])
      shift -= 4
    }
    append("\r\n" as StaticString)
    append(contentsOf: data)
    append("\r\n" as StaticString)
  }
}

private let hexDigits = Array("0123456789abcdef".utf8)
