// Response heads from bytes of HTTP/1 and to them.
import HTTP

extension ResponseHead {
  /// Validates the head that `parser` has completed.
  /// - Throws: `HTTPParseError`.
  public convenience init(_ parser: MessageParser) throws(HTTPParseError) {
    let version = parser.version
    let llhttpStatus = parser.status
    let fields = parser.moveFields()
    let line = try StatusLine(fields)
    guard line.status == llhttpStatus, line.minor == version.minor, version.major == 1 else {
      throw HTTPParseError(.malformedStartLine, "malformed status line")
    }
    try self.init(
      status: line.status, reason: line.reason, isVersion11: line.minor == 1, fields, framing: parser.framing(),
      answersHead: parser.answersHead)
  }

  /// What `write` writes for this head, and for heads that differ from it only in the fields `varying`.
  public func serialized(varying: [Int], client11: Bool, closing: Bool, policy: ForwardingPolicy) -> SerializedHead {
    let output = OutputBuffer()
    var places: [Int: Int] = [:]
    write(to: output, client11: client11, closing: closing, policy: policy) { places[$0] = $1 }
    return SerializedHead(output.bytes, of: fields, varying: varying, places: places)
  }

  /// Writes the head for the client: as HTTP/1.1, fields in their order, case and bytes, without the hop-by-hop ones.
  /// - Parameters:
  ///   - client11: whether the client speaks HTTP/1.1.
  ///   - closing: whether the connection is closed after this response, which a Connection field then says.
  ///   - policy: which fields are added, and the protocols that may stand in the Upgrade field of a 426 or a 101.
  public func write(
    to output: OutputBuffer, client11: Bool, closing: Bool, policy: ForwardingPolicy = ForwardingPolicy()
  ) {
    write(to: output, client11: client11, closing: closing, policy: policy) { _, _ in }
  }

  /// - Parameter placed: called with where in `output` the value of the field at an index begins, if it is written unchanged.
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
    // These two statuses require an Upgrade field (RFC 9110 §15.2.2 and §15.5.22).
    let upgrade = status == 101 || status == 426 ? fields.upgradeElements(policy.tunnels) : []
    for (index, field) in fields.list.enumerated() {
      if fields.isHopByHop(field, connection, policy) {
        if !upgrade.isEmpty { fields.writeUpgrade(upgrade, at: index, to: output) }
      } else if field.kind == .transferEncoding {
        guard status >= 200, status != 204, client11, sent == .chunked || answersHead else { continue }
        saidChunked = true
        output.appendField(fields, field.name, "chunked")
      } else if field.kind == .contentLength, status < 200 || status == 204 {
        continue
      } else if field.kind == .contentLength, fields.hasLeadingZero(field.value) {
        // Whoever reads octal would wait for another number of bytes.
        output.appendField(fields, field.name, fields.withoutLeadingZeros(field.value))
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
