// HTTP/1.1 by the letter of RFC 9112, read a second time: what the proxy's own reading is held against.
// It shares no line with HTTP1: a mistake of one is found by the other.

/// A message as a reader without mercy understands it.
struct StrictMessage: Equatable {
  var start: [ArraySlice<UInt8>] = []
  var fields: [StrictField] = []
  var body: [UInt8] = []
  var trailers: [StrictField] = []
}

struct StrictField: Equatable {
  var name: ArraySlice<UInt8>
  var value: ArraySlice<UInt8>

  /// Whether this is its name, in whatever case.
  func isNamed(_ lowercase: StaticString) -> Bool { isWord(name, lowercase) }
}

enum StrictError: Error, Equatable {
  /// The bytes begin a message and do not end it.
  case incomplete
  case malformed(String)
}

/// Reads messages off the front of some bytes.
struct StrictReader {
  /// What is read.
  enum Kind {
    /// What a client sends.
    case request
    /// What the proxy sends to upstream: nothing that only some servers take.
    case ownRequest
    /// What a server sends, and what is known of the request that it answers.
    case response(answersHead: Bool)
  }

  let bytes: [UInt8]
  let kind: Kind
  /// Whether the bytes' end is the connection's.
  let hasEnded: Bool
  private(set) var position = 0

  init(_ bytes: [UInt8], _ kind: Kind, hasEnded: Bool = false) {
    self.bytes = bytes
    self.kind = kind
    self.hasEnded = hasEnded
  }

  var isAtEnd: Bool { position == bytes.count }

  /// The next message.
  mutating func next() throws(StrictError) -> StrictMessage {
    let start = position
    do throws(StrictError) { return try message() } catch {
      position = start
      throw error
    }
  }

  private mutating func message() throws(StrictError) -> StrictMessage {
    var message = StrictMessage()
    var isOlder = false
    var status = 0
    switch kind {
    case .request:
      var line = try line()
      while line.isEmpty { line = try self.line() }
      message.start = words(line)
      isOlder = try checkRequestLine(message.start, isOwn: false)
    case .ownRequest:
      message.start = words(try line())
      isOlder = try checkRequestLine(message.start, isOwn: true)
    case .response:
      (message.start, status, isOlder) = try statusLine(try line())
    }
    message.fields = try section()
    let framing = try self.framing(message.fields, isOlder: isOlder)
    if case .response(let answersHead) = kind {
      if answersHead || status < 200 || status == 204 || status == 304 { return message }
    } else {
      try checkHost(message.fields, isOlder: isOlder)
    }
    switch framing {
    case .chunked:
      (message.body, message.trailers) = try chunks()
    case .length(let count):
      message.body = Array(try take(count))
    case .none:
      guard case .response = kind else { break }
      guard hasEnded else { throw .incomplete }
      message.body = Array(try take(bytes.count - position))
    }
    return message
  }

  private func words(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
  }

  private func checkRequestLine(_ words: [ArraySlice<UInt8>], isOwn: Bool) throws(StrictError) -> Bool {
    guard words.count == 3, isToken(words[0]), !words[1].isEmpty, words[1].allSatisfy({ (0x21...0x7E).contains($0) })
    else { throw .malformed("request line") }
    if isText(words[2], "HTTP/1.1") { return false }
    guard !isOwn, isText(words[2], "HTTP/1.0") else { throw .malformed("version") }
    return true
  }

  private func statusLine(_ line: ArraySlice<UInt8>) throws(StrictError) -> ([ArraySlice<UInt8>], Int, Bool) {
    let version = line.prefix(9)
    guard isText(version, "HTTP/1.1 ") || isText(version, "HTTP/1.0 ") else { throw .malformed("version") }
    let code = line.dropFirst(9).prefix(3)
    guard code.count == 3, code.allSatisfy({ (0x30...0x39).contains($0) }),
      (0x31...0x35).contains(line[line.startIndex + 9])
    else {
      throw .malformed("status")
    }
    let rest = line.dropFirst(12)
    guard rest.isEmpty || rest.first == 0x20, isFieldText(rest.dropFirst()) else { throw .malformed("reason") }
    let status = code.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    return ([line.prefix(8), code, rest.dropFirst()], status, line[line.startIndex + 7] == 0x30)
  }

  private func checkHost(_ fields: [StrictField], isOlder: Bool) throws(StrictError) {
    let hosts = values(fields, "host")
    guard hosts.count == 1 || hosts.isEmpty && isOlder else { throw .malformed("\(hosts.count) Host fields") }
    for host in hosts where host.isEmpty || host.contains(where: isForbiddenInHost) {
      throw .malformed("Host")
    }
  }

  private func isForbiddenInHost(_ byte: UInt8) -> Bool { byte > 0x7E || " \t,/@?#\\<>\"%".utf8.contains(byte) }

  private enum Framing { case none, chunked, length(Int) }

  private func framing(_ fields: [StrictField], isOlder: Bool) throws(StrictError) -> Framing {
    let lengths = values(fields, "content-length")
    let codings = values(fields, "transfer-encoding")
    guard lengths.count + codings.count <= 1 else { throw .malformed("framed twice") }
    if let coding = codings.first {
      guard !isOlder, isWord(coding, "chunked") else { throw .malformed("coding") }
      return .chunked
    }
    guard let digits = lengths.first else { return .none }
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }),
      let length = Int(String(decoding: digits, as: UTF8.self))
    else { throw .malformed("length") }
    return .length(length)
  }

  private func values(_ fields: [StrictField], _ name: StaticString) -> [ArraySlice<UInt8>] {
    fields.filter { $0.isNamed(name) }.map(\.value)
  }

  private mutating func chunks() throws(StrictError) -> ([UInt8], [StrictField]) {
    var body: [UInt8] = []
    while true {
      let line = try line()
      let digits = line.prefix { $0 != 0x3B }
      guard (1...16).contains(digits.count), let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
        digits.first != 0x2B, digits.first != 0x2D, isExtension(line.dropFirst(digits.count))
      else { throw .malformed("size line") }
      if size == 0 { break }
      body += try take(size)
      guard isText(try take(2), "\r\n") else { throw .malformed("chunk end") }
    }
    return (body, try section())
  }

  /// `*( ";" token [ "=" ( token / quoted-string ) ] )`, without the white space that the RFC calls bad.
  private func isExtension(_ bytes: ArraySlice<UInt8>) -> Bool {
    if bytes.isEmpty { return true }
    if case .ownRequest = kind { return false }
    var rest = bytes
    while !rest.isEmpty {
      guard rest.removeFirst() == 0x3B else { return false }
      let name = rest.prefix { isTokenByte($0) }
      guard !name.isEmpty else { return false }
      rest = rest.dropFirst(name.count)
      guard rest.first == 0x3D else { continue }
      rest = rest.dropFirst()
      if rest.first != 0x22 {
        let value = rest.prefix { isTokenByte($0) }
        guard !value.isEmpty else { return false }
        rest = rest.dropFirst(value.count)
        continue
      }
      rest = rest.dropFirst()
      if rest.isEmpty { return false }
      while let byte = rest.popFirst(), byte != 0x22 {
        if byte == 0x5C { _ = rest.popFirst() }
        if rest.isEmpty { return false }
      }
    }
    return bytes.allSatisfy { $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F } && bytes.last != 0x5C
  }

  private mutating func section() throws(StrictError) -> [StrictField] {
    var fields: [StrictField] = []
    while true {
      let line = try line()
      if line.isEmpty { return fields }
      guard let colon = line.firstIndex(of: 0x3A), isToken(line[..<colon]) else {
        throw .malformed("field name")
      }
      var value = line[(colon + 1)...]
      while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
      while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
      guard isFieldText(value) else { throw .malformed("field value") }
      fields.append(StrictField(name: line[..<colon], value: value))
    }
  }

  /// The next line, without its CRLF; neither may stand alone.
  private mutating func line() throws(StrictError) -> ArraySlice<UInt8> {
    var index = position
    while index < bytes.count, bytes[index] != 0x0D, bytes[index] != 0x0A { index += 1 }
    guard index < bytes.count, bytes[index] == 0x0A || index + 1 < bytes.count else { throw .incomplete }
    guard bytes[index] == 0x0D, bytes[index + 1] == 0x0A else { throw .malformed("bare CR or LF") }
    defer { position = index + 2 }
    return bytes[position..<index]
  }

  private mutating func take(_ count: Int) throws(StrictError) -> ArraySlice<UInt8> {
    guard bytes.count - position >= count else { throw .incomplete }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private func isToken(_ bytes: ArraySlice<UInt8>) -> Bool { !bytes.isEmpty && bytes.allSatisfy(isTokenByte) }

  private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
    default: false
    }
  }

  private func isFieldText(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.allSatisfy { $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F }
  }
}

/// Whether `bytes` are this text.
func isText(_ bytes: ArraySlice<UInt8>, _ text: StaticString) -> Bool {
  unsafe bytes.count == text.utf8CodeUnitCount && bytes.elementsEqual(text.bytes)
}

/// The same, with letters of either case.
func isWord(_ bytes: ArraySlice<UInt8>, _ lowercase: StaticString) -> Bool {
  unsafe bytes.count == lowercase.utf8CodeUnitCount && zip(bytes, lowercase.bytes).allSatisfy { smallLetter($0) == $1 }
}

/// The same letters in whatever case.
func isWord(_ bytes: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
  bytes.count == other.count && zip(bytes, other).allSatisfy { smallLetter($0) == smallLetter($1) }
}

private func smallLetter(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

extension StaticString {
  fileprivate var bytes: UnsafeBufferPointer<UInt8> {
    unsafe UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
  }
}
