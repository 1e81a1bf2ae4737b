// A response's head, judged strictly and written anew for the client.
// It must not know where it came from.

/// What a response head and those that are like it were judged to say.
final class ResponseTemplate: HeadTemplate {
  let status: Int
  let reason: Range<Int>
  let isVersion11: Bool
  let connection: ConnectionOptions
  let answersHead: Bool

  fileprivate init(_ line: StatusLine, _ fields: Fields, answersHead: Bool) throws(HTTPParseError) {
    status = line.status
    reason = line.reason
    isVersion11 = line.minor == 1
    connection = try ConnectionOptions(fields)
    self.answersHead = answersHead
  }
}

/// A response head that is that of one unambiguous message. A class, as RequestHead is, and confined to one thread.
public final class ResponseHead {
  /// The head as it came.
  public let fields: Fields
  /// How the body is delimited.
  public let framing: BodyFraming
  private let judged: ResponseTemplate

  /// What it shares with heads that are like it.
  var template: HeadTemplate { judged }
  /// What whoever read the first head like this one made of it. Nothing that may differ may be in it.
  public var metadata: AnyObject? {
    get { judged.metadata }
    set { judged.metadata = newValue }
  }
  /// 100 to 599.
  public var status: Int { judged.status }
  private var reason: Range<Int> { judged.reason }
  var isVersion11: Bool { judged.isVersion11 }
  var connection: ConnectionOptions { judged.connection }
  var answersHead: Bool { judged.answersHead }

  /// The value of the first field named `lowercase`, as text.
  public func first(_ lowercase: StaticString) -> String? { fields.first(lowercase) }
  /// Whether this is a 1xx: another head follows.
  public var isInformational: Bool { status < 200 }
  /// Whether the upstream connection may carry another exchange after this one.
  public var keepsAlive: Bool {
    guard framing != .untilClose, !claimsBodyWithoutOne else { return false }
    return isVersion11 ? !connection.closes : connection.keepsAlive && !connection.closes
  }

  /// Whether a body is announced where none can be, and may come all the same: what follows could be taken for a response.
  private var claimsBodyWithoutOne: Bool {
    guard status == 204 || status == 304 else { return false }
    return fields.list.contains { field in
      field.kind == .transferEncoding
        || status == 204 && field.kind == .contentLength && !fields.matches(field.value, "0")
    }
  }

  /// Judges the head that `parser` has completed.
  /// - Throws: `HTTPParseError`; the client gets a 502 whatever its status.
  public init(_ parser: MessageParser) throws(HTTPParseError) {
    let version = parser.version
    let llhttpStatus = parser.status
    let fields = parser.takeFields()
    let line = try StatusLine(fields)
    guard line.status == llhttpStatus, line.minor == version.minor, version.major == 1 else {
      throw HTTPParseError(502, "malformed status line")
    }
    judged = try ResponseTemplate(line, fields, answersHead: parser.answersHead)
    guard fields.valuesAreClean() else { throw HTTPParseError(502, "control byte in a field value") }
    framing = try parser.framing()
    self.fields = fields
  }

  /// The head that `parser` has completed: found in the cache, or validated now and inserted there.
  /// - Throws: as `init(_:)`.
  public static func completed(by parser: MessageParser) throws(HTTPParseError) -> ResponseHead {
    if case .response(let cached) = parser.takeCached() { return cached }
    let head = try ResponseHead(parser)
    parser.cache?.insert(.response(head), answersHead: head.answersHead, head.connection)
    return head
  }

  /// A head that differs from `other` in values that mean nothing here, and in its length; nil where that is none.
  init?(like other: ResponseHead, _ fields: Fields) {
    guard let framing = other.framing.like(fields, other.judged) else { return nil }
    self.framing = framing
    self.fields = fields
    judged = other.judged
  }

  /// What `write` writes for this head and those that equal it.
  public func serialized(client11: Bool, closing: Bool, policy: ForwardingPolicy) -> SerializedHead {
    let output = OutputBuffer()
    var places: [Int: Int] = [:]
    write(to: output, client11: client11, closing: closing, policy: policy) { places[$0] = $1 }
    return SerializedHead(output.bytes, of: fields, judged, places: places)
  }

  /// Writes the head as `serialized` has it.
  public func write(_ serialized: borrowing SerializedHead, to output: OutputBuffer) {
    serialized.write(to: output, fields)
  }

  /// How the body reaches a client: as it came, but chunked for an HTTP/1.1 client where only the close would end it,
  /// and ended by the close for an HTTP/1.0 client that knows no chunks.
  public func framing(forVersion11 client11: Bool) -> BodyFraming {
    switch framing {
    case .none, .length: framing
    case .chunked, .untilClose: client11 ? .chunked : .untilClose
    }
  }

  /// Writes the head for the client: HTTP/1.1, fields in their order, case and bytes, those for the neighbour left out.
  /// - Parameters:
  ///   - client11: whether the client speaks HTTP/1.1.
  ///   - closing: whether the connection ends after this response, which is then said.
  ///   - policy: what is added; and the protocols that a client may be told of by a 426, or be switched to by a 101.
  public func write(
    to output: OutputBuffer, client11: Bool, closing: Bool, policy: ForwardingPolicy = ForwardingPolicy()
  ) {
    write(to: output, client11: client11, closing: closing, policy: policy) { _, _ in }
  }

  /// - Parameter placed: told where in `output` the value of the field at a place begins, where it goes on as it came.
  private func write(
    to output: OutputBuffer, client11: Bool, closing: Bool, policy: ForwardingPolicy,
    placed: (_ index: Int, _ start: Int) -> Void
  ) {
    output.append("HTTP/1.1 ")
    output.append(decimal: UInt64(status))
    output.append(ASCII.space)
    output.append(fields.bytes, reason)
    output.append("\r\n")
    let sent = framing(forVersion11: client11)
    var saidChunked = false
    // These two statuses mean nothing without their Upgrade field (RFC 9110 §15.2.2 and §15.5.22).
    let upgrade = status == 101 || status == 426 ? fields.upgradeElements(policy.tunnels) : []
    for (index, field) in fields.list.enumerated() {
      if fields.isHopByHop(field, connection) {
        if !upgrade.isEmpty { fields.writeUpgrade(upgrade, at: index, to: output) }
      } else if field.kind == .transferEncoding {
        guard status >= 200, status != 204, client11, sent == .chunked || answersHead else { continue }
        saidChunked = true
        output.appendField(fields, field.name, "chunked")
      } else if field.kind == .contentLength, status < 200 || status == 204 {
        continue
      } else {
        placed(index, output.count + field.name.count + 2)
        output.appendField(fields, field.name, field.value)
      }
    }
    if sent == .chunked, !saidChunked { output.append("Transfer-Encoding: chunked\r\n") }
    if let via = policy.via { output.append(text: "Via: \(isVersion11 ? "1.1" : "1.0") \(via)\r\n") }
    if status >= 200 {
      if closing {
        output.append("Connection: close\r\n")
      } else if !client11 {
        output.append("Connection: keep-alive\r\n")
      }
    }
    output.append("\r\n")
  }
}

/// The status line, found in the head's own bytes.
private struct StatusLine {
  let status: Int
  let reason: Range<Int>
  let minor: Int

  init(_ fields: Fields) throws(HTTPParseError) {
    let bytes = fields.bytes
    guard let end = bytes.firstIndex(of: ASCII.carriageReturn), end + 1 < bytes.count,
      bytes[end + 1] == ASCII.lineFeed
    else { throw HTTPParseError(502, "malformed status line") }
    let line = bytes[..<end]
    if fields.starts(0..<end, with: "HTTP/1.1 ") {
      minor = 1
    } else if fields.starts(0..<end, with: "HTTP/1.0 ") {
      minor = 0
    } else {
      throw HTTPParseError(502, "protocol is neither HTTP/1.1 nor HTTP/1.0")
    }
    let digits = line.dropFirst(9).prefix(3)
    let rest = line.dropFirst(12)
    guard digits.count == 3, digits.allSatisfy(ASCII.isDigit), rest.isEmpty || rest.first == ASCII.space else {
      throw HTTPParseError(502, "malformed status line")
    }
    status = digits.reduce(0) { $0 * 10 + Int($1 - ASCII.zero) }
    guard (100...599).contains(status) else { throw HTTPParseError(502, "status out of range") }
    reason = rest.isEmpty ? end..<end : rest.startIndex + 1..<end
    guard bytes[reason].allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == ASCII.tab }) else {
      throw HTTPParseError(502, "control byte in the reason")
    }
  }
}
