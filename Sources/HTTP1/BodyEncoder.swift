// Bodies as HTTP/1 bytes: unchanged, or each range as a chunk of its own.
import HTTP

extension OutputBuffer {
  /// Appends `name: value` and the line's end, both from `fields`.
  func appendField(_ fields: Fields, _ name: Range<Int>, _ value: Range<Int>) {
    unsafe fields.bytes.withUnsafeBytes { bytes in
      unsafe append(UnsafeRawBufferPointer(rebasing: bytes[name]))
      append(": ")
      unsafe append(UnsafeRawBufferPointer(rebasing: bytes[value]))
      append("\r\n")
    }
  }

  /// Appends `name: value` with another value.
  func appendField(_ fields: Fields, _ name: Range<Int>, text value: String) {
    append(fields.bytes, name)
    append(": ")
    append(text: value)
    append("\r\n")
  }

  /// Appends `name: value` with a literal value.
  func appendField(_ fields: Fields, _ name: Range<Int>, _ value: StaticString) {
    append(fields.bytes, name)
    append(": ")
    append(value)
    append("\r\n")
  }

  /// Appends bytes as a chunk. Its size is in lower-case hexadecimal digits, as most servers write it.
  fileprivate func append(chunk body: UnsafeRawBufferPointer) {
    let digits = max(1, (Int.bitWidth - body.count.leadingZeroBitCount + 3) / 4)
    var place = unsafe room(for: digits + 2 + body.count + 2)
    var shift = digits * 4
    while shift > 0 {
      shift -= 4
      let digit = UInt8(truncatingIfNeeded: body.count >> shift & 15)
      unsafe place.storeBytes(of: digit < 10 ? ASCII.zero + digit : UInt8(ascii: "a") + digit - 10, as: UInt8.self)
      unsafe place += 1
    }
    unsafe place.storeBytes(of: Self.lineEnd, as: UInt16.self)
    if let source = body.baseAddress { unsafe (place + 2).copyMemory(from: source, byteCount: body.count) }
    unsafe (place + 2 + body.count).storeBytes(of: Self.lineEnd, as: UInt16.self)
  }

  /// CR and LF, in this order in memory.
  private static let lineEnd = UInt16(littleEndian: UInt16(ASCII.lineFeed) << 8 | UInt16(ASCII.carriageReturn))
}

/// Encodes the part of a body that one read contained, in the framing that the head announces.
public enum BodyEncoder {
  /// Appends the body bytes in `bytes`, and the body's end if it is among them.
  /// - Parameters:
  ///   - ranges: where `parser` found body bytes last.
  ///   - bytes: the bytes that `parser` consumed last.
  public static func append(
    _ ranges: BodyRanges, by parser: MessageParser, of bytes: RawSpan, framing: BodyFraming, to output: OutputBuffer
  ) {
    guard framing == .chunked else { return append(ranges, of: bytes, framing: framing, to: output) }
    let verbatim = parser.verbatimChunks
    unsafe bytes.withUnsafeBytes { source in
      var index = 0
      unsafe append(ranges, &index, before: verbatim.lowerBound, of: source, to: output)
      // Chunks that would be the same bytes again, all at once.
      unsafe output.append(UnsafeRawBufferPointer(rebasing: source[verbatim]))
      while index < ranges.count, ranges[index].lowerBound < verbatim.upperBound { index += 1 }
      unsafe append(ranges, &index, before: source.count, of: source, to: output)
    }
    if parser.isComplete, verbatim.isEmpty || verbatim.upperBound < bytes.byteCount {
      appendEnd(framing: framing, trailers: parser.trailers, to: output)
    }
  }

  /// Appends the ranges from `index` on that begin before `end`, each as a chunk.
  private static func append(
    _ ranges: BodyRanges, _ index: inout Int, before end: Int, of source: UnsafeRawBufferPointer,
    to output: OutputBuffer
  ) {
    while index < ranges.count, ranges[index].lowerBound < end {
      unsafe output.append(chunk: UnsafeRawBufferPointer(rebasing: source[ranges[index]]))
      index += 1
    }
  }

  /// Appends the body bytes at `ranges` in `bytes`: each a chunk where `framing` is chunked, plain otherwise.
  public static func append(_ ranges: BodyRanges, of bytes: RawSpan, framing: BodyFraming, to output: OutputBuffer) {
    unsafe bytes.withUnsafeBytes { source in
      for index in 0..<ranges.count {
        let body = unsafe UnsafeRawBufferPointer(rebasing: source[ranges[index]])
        if framing == .chunked { unsafe output.append(chunk: body) } else { unsafe output.append(body) }
      }
    }
  }

  /// Appends a body's end: the last chunk and the trailers, where the framing is chunked.
  public static func appendEnd(framing: BodyFraming, trailers: Fields, to output: OutputBuffer) {
    guard framing == .chunked else { return }
    output.append("0\r\n")
    for field in trailers.list where !trailers.isForbiddenTrailer(field.name) {
      output.appendField(trailers, field.name, trailers.trimmed(field.value))
    }
    output.append("\r\n")
  }
}
