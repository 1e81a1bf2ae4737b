// Request heads from bytes of HTTP/1 and to them.
import HTTP

extension RequestHead {
  /// Validates the head that `parser` has completed.
  /// - Parameter pseudonym: our own name in `Via`: a request that carries it already has come back to us.
  /// - Throws: `HTTPParseError`; the parser then keeps the head's bytes, for the record.
  public convenience init(_ parser: MessageParser, refusingVia pseudonym: String? = nil) throws(HTTPParseError) {
    let version = parser.version
    let fields = parser.fields
    let line = try RequestLine(fields, acceptsAnyTarget: parser.acceptsAnyTarget)
    guard parser.hasMethod(line.method), line.minor == version.minor, version.major == 1 else {
      throw HTTPParseError(.malformedStartLine, "malformed request line")
    }
    let framing = try parser.framing()
    let target = try line.forwardedTarget(fields)
    try self.init(line.method, target, isVersion11: line.minor == 1, fields, framing: framing)
    if let pseudonym, fields.wentThrough(pseudonym) {
      throw HTTPParseError(.loopDetected, "the request has come through this proxy already")
    }
    _ = parser.moveFields()
  }

  /// Writes the head for upstream: as HTTP/1.1, fields in their order, case and bytes, without the hop-by-hop ones.
  /// - Parameters:
  ///   - defaultHost: the server's authority: the Host to name where an HTTP/1.0 client named none, which HTTP/1.1 requires,
  ///     or where the policy says so.
  ///   - policy: which fields are added and removed.
  ///   - client: the client's literal address, for fields that contain it.
  ///   - offer: the protocols that upstream may switch to.
  public func write(
    to output: OutputBuffer, defaultHost: String, policy: ForwardingPolicy = ForwardingPolicy(), client: String = "",
    offer: UpgradeOffer? = nil
  ) {
    write(to: output, defaultHost: defaultHost, policy: policy, client: client, offer: offer) { _, _ in }
  }

  /// - Parameter placed: called with where in `output` the value of the field at an index begins, if it is written unchanged.
  private func write(
    to output: OutputBuffer, defaultHost: String, policy: ForwardingPolicy, client: String, offer: UpgradeOffer?,
    placed: (_ index: Int, _ start: Int) -> Void
  ) {
    output.append(text: method.rawValue)
    output.append(ASCII.space)
    if let implied = target.implied { output.append(implied) }
    output.append(fields.bytes, target.written)
    output.append(" HTTP/1.1\r\n")
    let host = policy.hostText(ownAuthority: defaultHost)
    let (forwardedFor, forwarded) = fields.rewritings(policy, client: client)
    for (index, field) in fields.list.enumerated() {
      if fields.isHopByHop(field, connection, policy) {
        if let offer { fields.writeUpgrade(offer.elements, at: index, to: output) }
      } else if field.kind == .expect, !isVersion11 {
        // In an HTTP/1.0 request it means nothing (RFC 9110 §10.1.1), and in ours a server would wait with the body.
        continue
      } else if field.kind == .forwardedFor, let forwardedFor {
        forwardedFor.write(fields, index, to: output)
      } else if field.kind == .forwarded, let forwarded {
        forwarded.write(fields, index, to: output)
      } else if field.kind == .host, let host {
        output.appendField(fields, field.name, text: host)
      } else {
        placed(index, output.count + field.name.count + 2)
        write(field, to: output)
      }
    }
    forwardedFor?.writeNew("X-Forwarded-For", to: output)
    forwarded?.writeNew("Forwarded", to: output)
    // A line of its own behind those that came is an element behind theirs (RFC 9110 §5.3).
    if let via = policy.via { output.append(text: "Via: \(isVersion11 ? "1.1" : "1.0") \(via)\r\n") }
    if !fields.list.contains(where: { $0.kind == .host }) {
      output.append(text: "Host: \(host ?? target.authority.map { fields.text($0) } ?? defaultHost)\r\n")
    }
    output.append("\r\n")
  }

  /// What `write` writes for this head, and for heads that differ from it only in the fields `varying`.
  /// - Returns: nil where the policy has each client's address written.
  public func serialized(varying: [Int], defaultHost: String, policy: ForwardingPolicy) -> SerializedHead? {
    guard !policy.namesClients else { return nil }
    let output = OutputBuffer()
    var places: [Int: Int] = [:]
    write(to: output, defaultHost: defaultHost, policy: policy, client: "", offer: nil) { places[$0] = $1 }
    return SerializedHead(output.bytes, of: fields, varying: varying, places: places)
  }

  /// A field as it was received; but those that frame and route as they were understood.
  private func write(_ field: Field, to output: OutputBuffer) {
    switch (field.kind, framing) {
    case (.host, _): output.appendField(fields, field.name, target.authority ?? field.value)
    case (.contentLength, .length(let length)): output.appendField(fields, field.name, text: "\(length)")
    case (.transferEncoding, _): output.appendField(fields, field.name, "chunked")
    default: output.appendField(fields, field.name, field.value)
    }
  }
}
