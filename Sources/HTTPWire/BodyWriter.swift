// Bodies written anew: counted as they are, or each span as a chunk of its own.
// It must not join, split or change what a span holds.

extension [UInt8] {
  /// `name: value` and the line's end.
  mutating func appendField(_ name: some Sequence<UInt8>, _ value: some Sequence<UInt8>) {
    append(contentsOf: name)
    append(contentsOf: ": ".utf8)
    append(contentsOf: value)
    append(contentsOf: "\r\n".utf8)
  }
}

/// Writes the spans of one read in the framing that the receiver was promised.
public enum BodyWriter {
  /// Appends the body bytes at `spans` in `bytes`: each a chunk where `framing` is chunked, plain otherwise.
  public static func append(_ spans: BodySpans, of bytes: RawSpan, framing: BodyFraming, to output: inout [UInt8]) {
    unsafe bytes.withUnsafeBytes { source in
      for span in spans.list {
        let body = unsafe UnsafeRawBufferPointer(rebasing: source[Int(span.lowerBound)..<Int(span.upperBound)])
        if framing == .chunked {
          appendHex(body.count, to: &output)
          unsafe output.append(contentsOf: body)
          output.append(ASCII.carriageReturn)
          output.append(ASCII.lineFeed)
        } else {
          unsafe output.append(contentsOf: body)
        }
      }
    }
  }

  /// Appends what ends a body: the last chunk with its trailers, or nothing.
  public static func appendEnd(framing: BodyFraming, trailers: Fields, to output: inout [UInt8]) {
    guard framing == .chunked else { return }
    output.append(contentsOf: "0\r\n".utf8)
    for field in trailers.list where !trailers.isForbiddenTrailer(field.name) {
      let value = trailers.trimmed(field.value)
      output.appendField(trailers.bytes[field.name], trailers.bytes[value])
    }
    output.append(contentsOf: "\r\n".utf8)
  }

  /// A chunk's size line: lower-case hexadecimal, as most servers write it.
  private static func appendHex(_ value: Int, to output: inout [UInt8]) {
    var shift = value == 0 ? 0 : (Int.bitWidth - 1 - value.leadingZeroBitCount) & ~3
    while shift >= 0 {
      let digit = UInt8((value >> shift) & 15)
      output.append(digit < 10 ? ASCII.zero + digit : UInt8(ascii: "a") + digit - 10)
      shift -= 4
    }
    output.append(ASCII.carriageReturn)
    output.append(ASCII.lineFeed)
  }
}
