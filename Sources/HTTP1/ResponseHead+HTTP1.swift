// Response heads from and to bytes of HTTP/1.
// It must not know where a response came from.
import HTTP

extension ResponseHead {
  /// Judges the head that `parser` has completed.
  /// - Throws: `HTTPParseError`; the client gets a 502 whatever its status.
  public convenience init(_ parser: MessageParser) throws(HTTPParseError) {
    let version = parser.version
    let llhttpStatus = parser.status
    let fields = parser.takeFields()
    let line = try StatusLine(fields)
    guard line.status == llhttpStatus, line.minor == version.minor, version.major == 1 else {
      throw HTTPParseError(502, "malformed status line")
    }
    try self.init(
      status: line.status, reason: line.reason, isVersion11: line.minor == 1, fields, framing: parser.framing(),
      answersHead: parser.answersHead)
  }

  /// The head that `parser` has completed: found in the cache, or validated now and inserted there.
  /// - Throws: as `init(_:)`.
  public static func completed(by parser: MessageParser) throws(HTTPParseError) -> ResponseHead {
    if case .response(let cached) = parser.takeCached() { return cached }
    let head = try ResponseHead(parser)
    parser.cache?.insert(.response(head), answersHead: head.answersHead, head.connection)
    return head
  }

  /// What `write` writes for this head and those that equal it.
  public func serialized(client11: Bool, closing: Bool, policy: ForwardingPolicy) -> SerializedHead {
    let output = OutputBuffer()
    var places: [Int: Int] = [:]
    write(to: output, client11: client11, closing: closing, policy: policy) { places[$0] = $1 }
    return SerializedHead(output.bytes, of: fields, template, places: places)
  }

  /// Writes the head as `serialized` has it.
  public func write(_ serialized: borrowing SerializedHead, to output: OutputBuffer) {
    serialized.write(to: output, fields)
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
