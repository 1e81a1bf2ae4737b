// The header in which a TCP proxy in front names the client that it connects for: the PROXY protocol, versions 1 and 2.
// It must not decide who may send one.
// Source of every rule: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

/// A PROXY header that was read to its end.
public struct ProxyHeader {
  /// The client; nil where the header names none that connects by TCP (LOCAL, UNKNOWN, a Unix socket): then it is the peer.
  public let client: SocketAddress?
  /// How many of the bytes that were given last belong to the header.
  public let consumed: Int
}

/// Why bytes are no PROXY header.
public struct ProxyHeaderError: Error, Hashable, Sendable {
  /// One short line, without any of the bytes.
  public let reason: String
}

/// Reads one PROXY header, strictly, in whatever pieces it comes; the bytes behind it are left alone.
public struct ProxyHeaderParser: Sendable {
  /// The longest line of version 1, its end included (§2.1).
  private static let longestLine = 107
  /// The longest header of version 2 that is read; the format allows 64 KiB, senders use some hundred bytes.
  private static let longestBinary = 4096

  private var bytes: [UInt8] = []

  /// A parser at the first byte of a connection.
  public init() {}

  /// Whether a byte has come.
  public var hasBegun: Bool { !bytes.isEmpty }

  /// Reads on.
  /// - Returns: the header, once it is whole.
  public mutating func parse(_ read: RawSpan) throws(ProxyHeaderError) -> ProxyHeader? {
    let before = bytes.count
    unsafe read.withUnsafeBytes { unsafe bytes.append(contentsOf: $0.prefix(Self.longestBinary - before)) }
    let line = "PROXY ".utf8
    let signature = BinaryHeader.signature
    if bytes.starts(with: line.prefix(bytes.count)) {
      guard let end = try lineEnd() else { return nil }
      return ProxyHeader(client: try Self.client(ofLine: bytes[..<end]), consumed: end + 2 - before)
    }
    guard bytes.starts(with: signature.prefix(bytes.count)) else {
      throw ProxyHeaderError(reason: "not a PROXY header")
    }
    guard let header = BinaryHeader(bytes) else { return nil }
    guard header.byteCount <= Self.longestBinary else { throw ProxyHeaderError(reason: "PROXY header too long") }
    guard bytes.count >= header.byteCount else { return nil }
    return ProxyHeader(client: try header.client(bytes[..<header.byteCount]), consumed: header.byteCount - before)
  }

  // MARK: Version 1

  private func lineEnd() throws(ProxyHeaderError) -> Int? {
    let line = bytes.prefix(Self.longestLine)
    if let end = line.firstIndex(of: 0x0D) {
      guard end + 1 < line.count else {
        if line.count == Self.longestLine { throw ProxyHeaderError(reason: "PROXY header too long") }
        return nil
      }
      guard line[end + 1] == 0x0A else { throw ProxyHeaderError(reason: "malformed PROXY header") }
      return end
    }
    guard line.count < Self.longestLine else { throw ProxyHeaderError(reason: "PROXY header too long") }
    return nil
  }

  /// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`: single spaces, no further word.
  private static func client(ofLine line: ArraySlice<UInt8>) throws(ProxyHeaderError) -> SocketAddress? {
    let words = line.split(separator: 0x20, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    if words.count > 1, words[1] == "UNKNOWN" { return nil }
    guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6",
      let client = address(words[2], words[4], six: words[1] == "TCP6"),
      address(words[3], words[5], six: words[1] == "TCP6") != nil
    else { throw ProxyHeaderError(reason: "malformed PROXY header") }
    return client
  }

  private static func address(_ host: String, _ port: String, six: Bool) -> SocketAddress? {
    guard let number = UInt16(port), "\(number)" == port, host.contains(":") == six else { return nil }
    return SocketAddress(literal: host, port: number)
  }
}

/// A header of version 2 (§2.2): what its first 16 bytes say.
private struct BinaryHeader {
  static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
  private static let fixedBytes = 16
  private static let checksumType: UInt8 = 0x03

  /// Of the whole header.
  let byteCount: Int

  /// Nil where there is not enough of it to know its length.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.fixedBytes else { return nil }
    byteCount = Self.fixedBytes + Int(bytes[14]) << 8 + Int(bytes[15])
  }

  func client(_ header: ArraySlice<UInt8>) throws(ProxyHeaderError) -> SocketAddress? {
    guard header[12] >> 4 == 2, header[12] & 0x0F <= 1 else {
      throw ProxyHeaderError(reason: "unknown version or command in a PROXY header")
    }
    // LOCAL: the sender speaks for itself, whatever else the header says.
    guard header[12] & 0x0F == 1 else { return nil }
    let addressBytes: Int
    switch header[13] {
    case 0x00: return nil
    case 0x11: addressBytes = 12
    case 0x21: addressBytes = 36
    case 0x31: addressBytes = 216
    default: throw ProxyHeaderError(reason: "unknown family in a PROXY header, or one that is not TCP")
    }
    let start = Self.fixedBytes
    guard byteCount >= start + addressBytes else { throw ProxyHeaderError(reason: "malformed PROXY header") }
    try check(header, extensionsFrom: start + addressBytes)
    switch header[13] {
    case 0x11: return address(header[start..<start + 4].map { "\($0)" }.joined(separator: "."), header, portAt: 24)
    case 0x21: return address(groups(header[start..<start + 16]), header, portAt: 48)
    default: return nil
    }
  }

  private func address(_ host: String, _ header: ArraySlice<UInt8>, portAt: Int) -> SocketAddress? {
    SocketAddress(literal: host, port: UInt16(header[portAt]) << 8 | UInt16(header[portAt + 1]))
  }

  private func groups(_ bytes: ArraySlice<UInt8>) -> String {
    stride(from: bytes.startIndex, to: bytes.endIndex, by: 2)
      .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
  }

  /// Extensions (type, length, value) have to fill what is left, and a checksum among them has to be right (§2.2.3).
  private func check(_ header: ArraySlice<UInt8>, extensionsFrom start: Int) throws(ProxyHeaderError) {
    var at = start
    while at < byteCount {
      guard at + 3 <= byteCount else { throw ProxyHeaderError(reason: "malformed PROXY header") }
      let end = at + 3 + Int(header[at + 1]) << 8 + Int(header[at + 2])
      guard end <= byteCount else { throw ProxyHeaderError(reason: "malformed PROXY header") }
      if header[at] == Self.checksumType {
        guard end - at == 7 else { throw ProxyHeaderError(reason: "malformed PROXY header") }
        let said = header[(at + 3)..<end].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard said == checksum(header, without: at + 3..<end) else {
          throw ProxyHeaderError(reason: "wrong checksum in a PROXY header")
        }
      }
      at = end
    }
  }

  /// CRC-32C (RFC 9260, appendix A) of the header with the checksum's own bytes taken for 0.
  private func checksum(_ header: ArraySlice<UInt8>, without own: Range<Int>) -> UInt32 {
    var value = UInt32.max
    for (index, byte) in zip(header.indices, header) {
      value ^= own.contains(index) ? 0 : UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78 }
    }
    return ~value
  }
}
