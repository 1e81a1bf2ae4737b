// PROXY headers of both versions: whole, in pieces, and everything that is none.
import Testing

@testable import Transport

/// What became of bytes that were given in pieces.
private enum Read: Equatable {
  case wanting
  /// The client (nil: the peer), and what was left behind the header.
  case header(String?, rest: [UInt8])
  case refused
}

private func read(_ pieces: [[UInt8]]) -> Read {
  var parser = ProxyHeaderParser()
  for (index, piece) in pieces.enumerated() {
    do throws(ProxyHeaderError) {
      guard let header = try parser.parse(piece.span.bytes) else { continue }
      let rest = Array(piece[header.consumed...]) + pieces[(index + 1)...].joined()
      return .header(header.client?.description, rest: rest)
    } catch {
      return .refused
    }
  }
  return .wanting
}

/// Whole, cut in two at every place, and byte by byte.
private func everySplit(_ bytes: [UInt8]) -> [[[UInt8]]] {
  [[bytes], bytes.map { [$0] }] + (1..<bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] }
}

private let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
private let four: [UInt8] = [192, 0, 2, 7, 10, 0, 0, 1, 0xDB, 0xF4, 0, 80]
private let six: [UInt8] =
  [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 0, count: 15) + [1]
  + [0xDB, 0xF4, 0, 80]

/// A header of version 2.
private func binary(_ command: UInt8, _ family: UInt8, _ block: [UInt8], length: Int? = nil) -> [UInt8] {
  let length = length ?? block.count
  return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + block
}

private func extended(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
  [type, UInt8(value.count >> 8), UInt8(value.count & 255)] + value
}

@Suite("PROXY headers (case 58)")
struct ProxyHeaderTests {
  static let lines: [(String, String?)] = [
    ("PROXY TCP4 192.0.2.7 10.0.0.1 56308 80", "192.0.2.7:56308"),
    ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255:65535"),
    ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0:0"),
    ("PROXY TCP6 2001:DB8:0::7 ::1 56308 80", "[2001:db8::7]:56308"),
    (
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
    ),
    ("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2", "192.0.2.7:1"),
    ("PROXY UNKNOWN", nil),
    ("PROXY UNKNOWN ffff::1 whatever \u{1}  80", nil),
  ]

  @Test("A line of version 1 names the client, wherever it is cut, and what follows is left alone", arguments: lines)
  func line(text: String, client: String?) {
    let rest = Array("GET / HTTP/1.1\r\n".utf8)
    for pieces in everySplit(Array("\(text)\r\n".utf8) + rest) {
      #expect(read(pieces) == .header(client, rest: rest))
    }
    for count in 0..<text.utf8.count + 2 {
      #expect(read([Array("\(text)\r\n".utf8.prefix(count))]) == .wanting)
    }
  }

  static let binaries: [([UInt8], String?)] = [
    (binary(0x21, 0x11, four), "192.0.2.7:56308"),
    (binary(0x21, 0x21, six), "[2001:db8::7]:56308"),
    (binary(0x21, 0x11, four + extended(0x01, Array("h2".utf8)) + extended(0x04, [])), "192.0.2.7:56308"),
    (binary(0x21, 0x21, six + extended(0xE0, [UInt8](repeating: 9, count: 3_000))), "[2001:db8::7]:56308"),
    // The checksum by another implementation, whose CRC-32C of "123456789" is E3069283.
    (
      binary(0x21, 0x11, four + extended(0x03, [0xAD, 0x42, 0xF3, 0x18]) + extended(0x04, [0])), "192.0.2.7:56308"
    ),
    (binary(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216)), nil),
    (binary(0x21, 0x00, []), nil),
    (binary(0x21, 0x00, [1, 2, 3]), nil),
    (binary(0x20, 0x00, []), nil),
    (binary(0x20, 0x11, four), nil),
    (binary(0x20, 0xFF, [1, 2, 3]), nil),
  ]

  @Test("A header of version 2 names the client, wherever it is cut", arguments: binaries)
  func binaryHeader(bytes: [UInt8], client: String?) {
    let rest: [UInt8] = [0x47, 0x45, 0x54]
    let splits = bytes.count > 500 ? [[bytes + rest], (bytes + rest).map { [$0] }] : everySplit(bytes + rest)
    for pieces in splits { #expect(read(pieces) == .header(client, rest: rest)) }
    #expect(read([Array(bytes.dropLast())]) == .wanting)
  }

  static let refusedLines = [
    "GET / HTTP/1.1", "proxy TCP4 1.1.1.1 1.1.1.1 1 1", "PROXY", "PROXY ", "PROXY TCP4",
    "PROXY TCP5 1.1.1.1 1.1.1.1 1 1",
    "PROXY  TCP4 1.1.1.1 1.1.1.1 1 1", "PROXY TCP4  1.1.1.1 1.1.1.1 1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 ",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 1", "PROXY\tTCP4 1.1.1.1 1.1.1.1 1 1",
    "PROXY TCP4 1.1.1 1.1.1.1 1 1", "PROXY TCP4 1.1.1.256 1.1.1.1 1 1", "PROXY TCP4 01.1.1.1 1.1.1.1 1 1",
    "PROXY TCP4 1.1.1.1 1.1.1.x 1 1", "PROXY TCP4 ::1 ::1 1 1", "PROXY TCP6 1.1.1.1 ::1 1 1",
    "PROXY TCP6 ::1 1.1.1.1 1 1",
    "PROXY TCP6 fe80::1%eth0 ::1 1 1", "PROXY TCP6 [::1] ::1 1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1",
    "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1", "PROXY TCP4 1.1.1.1 1.1.1.1 01 1",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1 x", "PROXY TCP4 1.1.1.1 1.1.1.1  1", "PROXY TCP4 localhost 1.1.1.1 1 1",
    "PROXY UNKNOWNX", "PROXY TCP4 1.1.1.1\u{0} 1.1.1.1 1 1",
    "PROXY UNKNOWN " + String(repeating: "x", count: 92), "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
  ]

  @Test("A line that is not one of version 1 to the letter is refused", arguments: refusedLines)
  func refusedLine(text: String) {
    #expect(read([Array("\(text)\r\n".utf8)]) == .refused)
    #expect(read(Array("\(text)\r\n".utf8).map { [$0] }) == .refused)
  }

  @Test("A line without its end is refused once it is too long, a bare CR or LF at once")
  func endless() {
    #expect(read([Array(("PROXY UNKNOWN " + String(repeating: "x", count: 91)).utf8)]) == .wanting)
    #expect(
      read([Array(("PROXY UNKNOWN " + String(repeating: "x", count: 91) + "\r\n").utf8)]) == .header(nil, rest: []))
    #expect(read([Array(("PROXY UNKNOWN " + String(repeating: "x", count: 93)).utf8)]) == .refused)
    #expect(read([Array(("PROXY UNKNOWN " + String(repeating: "x", count: 92) + "\r").utf8)]) == .refused)
    #expect(read([Array("PROXY UNKNOWN\rx".utf8)]) == .refused)
  }

  static let refusedBinaries: [[UInt8]] = [
    binary(0x11, 0x11, four), binary(0x31, 0x11, four), binary(0x22, 0x11, four), binary(0x2F, 0x11, four),
    binary(0x21, 0x12, four), binary(0x21, 0x22, six), binary(0x21, 0x32, four), binary(0x21, 0x10, four),
    binary(0x21, 0x41, four), binary(0x21, 0x11, Array(four.dropLast())), binary(0x21, 0x21, four),
    binary(0x21, 0x31, four), binary(0x21, 0x11, four + [1]), binary(0x21, 0x11, four + [1, 0]),
    binary(0x21, 0x11, four + [1, 0, 2, 9]), binary(0x21, 0x11, four + extended(0x03, [1, 2, 3, 4])),
    binary(0x21, 0x11, four + extended(0x03, [1, 2])),
    binary(0x21, 0x11, four, length: 4_081), binary(0x20, 0x00, [], length: 65_535),
    Array(signature.dropLast()) + [0x0B, 0x21, 0x11, 0, 12] + four, [0x0D, 0x0A, 0x0D, 0x0A, 0x0D],
  ]

  @Test("A header that is not one of version 2 to the letter is refused", arguments: refusedBinaries)
  func refusedBinary(bytes: [UInt8]) {
    for pieces in everySplit(bytes) { #expect(read(pieces) == .refused) }
  }

  @Test("Headers with bytes changed, lost and doubled come to the same end whole and byte by byte")
  func mutated() {
    var random = SystemRandomNumberGenerator()
    let seeds = Self.lines.map { Array("\($0.0)\r\n".utf8) } + Self.binaries.map(\.0).filter { $0.count < 300 }
    for _ in 0..<4_000 {
      var bytes = seeds.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: place)
        default: bytes.insert(bytes[place], at: place)
        }
      }
      bytes += Array("rest".utf8)
      let whole = read([bytes])
      #expect(whole == read(bytes.map { [$0] }), "\(bytes)")
      // What is left behind a header is what was not of it: never more than the header itself could have said.
      if case .header(_, let rest) = whole { #expect(bytes.suffix(rest.count).elementsEqual(rest), "\(bytes)") }
    }
  }
}
