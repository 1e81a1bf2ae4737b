// A request's head, judged strictly and written anew for upstream.
// It must not know where it goes.

/// The methods that are passed on. CONNECT is refused (405), others are not implemented (501).
public enum Method: String, CaseIterable, Sendable {
  case get = "GET"
  case head = "HEAD"
  case post = "POST"
  case put = "PUT"
  case delete = "DELETE"
  case options = "OPTIONS"
  case patch = "PATCH"
  case trace = "TRACE"

  /// Whether the method asks for nothing to be changed (RFC 9110 §9.2.1), so that it may be sent a second time.
  public var isSafe: Bool { self == .get || self == .head || self == .options || self == .trace }
}

/// What a request head and those that are like it were judged to say.
final class RequestTemplate: HeadTemplate {
  let method: Method
  let isVersion11: Bool
  let expectsContinue: Bool
  let connection: ConnectionOptions
  let target: RequestTarget

  /// - Throws: `HTTPParseError` with the status to answer.
  init(_ line: RequestLine, _ fields: Fields, _ framing: BodyFraming) throws(HTTPParseError) {
    isVersion11 = line.minor == 1
    method = line.method
    target = try line.passedOn(fields)
    guard fields.valuesAreClean() else { throw HTTPParseError(400, "control byte in a field value") }
    try Self.checkHost(fields, isVersion11: isVersion11)
    connection = try ConnectionOptions(fields)
    expectsContinue = try Self.expectation(fields, isVersion11: isVersion11, framing: framing)
  }

  private static func checkHost(_ fields: Fields, isVersion11: Bool) throws(HTTPParseError) {
    var hosts = 0
    for field in fields.list where field.kind == .host {
      hosts += 1
      guard Authority.isValid(fields.bytes[field.value]) else { throw HTTPParseError(400, "Host is not a host") }
    }
    guard hosts <= 1 else { throw HTTPParseError(400, "Host given twice") }
    guard hosts == 1 || !isVersion11 else { throw HTTPParseError(400, "Host is missing") }
  }

  private static func expectation(
    _ fields: Fields, isVersion11: Bool, framing: BodyFraming
  ) throws(HTTPParseError) -> Bool {
    var expects = false
    for field in fields.list where field.kind == .expect {
      guard fields.matches(field.value, "100-continue") else { throw HTTPParseError(417, "unknown expectation") }
      expects = true
    }
    return expects && isVersion11 && framing != .none
  }
}

/// A request head that is that of one unambiguous message.
///
/// A class, because it is handed about and never changed: a copy would own its arrays anew. Confined to one thread.
public final class RequestHead {
  /// The head as it came.
  public let fields: Fields
  /// How the body is delimited.
  public let framing: BodyFraming
  private let judged: RequestTemplate

  /// What it shares with heads that are like it.
  var template: HeadTemplate { judged }
  /// What whoever read the first head like this one made of it. Nothing that may differ may be in it.
  public var metadata: AnyObject? {
    get { judged.metadata }
    set { judged.metadata = newValue }
  }
  /// What is asked for.
  public var method: Method { judged.method }
  /// Whether the client speaks HTTP/1.1 (otherwise 1.0).
  public var isVersion11: Bool { judged.isVersion11 }
  /// Whether the client waits for `100 (Continue)` before its body.
  public var expectsContinue: Bool { judged.expectsContinue }
  var connection: ConnectionOptions { judged.connection }
  private var target: RequestTarget { judged.target }

  /// Whether the connection may carry another request after this one.
  public var keepsAlive: Bool { isVersion11 ? !connection.closes : connection.keepsAlive && !connection.closes }
  /// The value of the first field whose name is `name`, compared without case.
  public func first(named name: String) -> String? { fields.first(named: name) }
  /// The value of the first field named `lowercase`, as text.
  public func first(_ lowercase: StaticString) -> String? { fields.first(lowercase) }
  /// The value of the field at a place, as text.
  public func value(at index: Int) -> String { fields.text(fields.list[index].value) }
  /// The path without its query.
  public var path: String {
    if let implied = target.implied { return String(decoding: CollectionOfOne(implied), as: UTF8.self) }
    return String(decoding: fields.bytes[target.written].prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
  }

  /// Judges the head that `parser` has completed.
  /// - Parameter pseudonym: our own name in `Via`: a request that carries it already goes in a circle (508).
  /// - Throws: `HTTPParseError` with the status to answer.
  public init(_ parser: MessageParser, refusingVia pseudonym: String? = nil) throws(HTTPParseError) {
    let version = parser.version
    let fields = parser.fields
    let line = try RequestLine(fields)
    guard parser.hasMethod(line.method), line.minor == version.minor, version.major == 1 else {
      throw HTTPParseError(400, "malformed request line")
    }
    framing = try parser.framing()
    judged = try RequestTemplate(line, fields, framing)
    if let pseudonym, fields.wentThrough(pseudonym) {
      throw HTTPParseError(508, "the request has come through this proxy already")
    }
    // Of a head that is refused the parser keeps the bytes: the record says what they asked for.
    self.fields = parser.takeFields()
  }

  /// The head that `parser` has completed: found in the cache, or validated now and inserted there.
  /// - Throws: as `init(_:refusingVia:)`.
  public static func completed(by parser: MessageParser, refusingVia pseudonym: String?) throws(HTTPParseError)
    -> RequestHead
  {
    if case .request(let cached) = parser.takeCached() { return cached }
    let head = try RequestHead(parser, refusingVia: pseudonym)
    parser.cache?.insert(.request(head), answersHead: false, head.connection)
    return head
  }

  /// A head that differs from `other` in values that mean nothing here, and in its length; nil where that is none.
  init?(like other: RequestHead, _ fields: Fields) {
    guard let framing = other.framing.like(fields, other.judged) else { return nil }
    self.framing = framing
    self.fields = fields
    judged = other.judged
  }

  /// Writes the head for upstream: HTTP/1.1, fields in their order, case and bytes, those for the neighbour left out.
  /// - Parameters:
  ///   - defaultHost: the Host to name where an HTTP/1.0 client named none, which HTTP/1.1 requires.
  ///   - policy: what is added, and what is taken.
  ///   - client: the client's literal address, for fields that name it.
  ///   - offer: the protocols that upstream may switch to.
  public func write(
    to output: OutputBuffer, defaultHost: String, policy: ForwardingPolicy = ForwardingPolicy(), client: String = "",
    offer: UpgradeOffer? = nil
  ) {
    write(to: output, defaultHost: defaultHost, policy: policy, client: client, offer: offer) { _, _ in }
  }

  /// - Parameter placed: told where in `output` the value of the field at a place begins, where it goes on as it came.
  private func write(
    to output: OutputBuffer, defaultHost: String, policy: ForwardingPolicy, client: String, offer: UpgradeOffer?,
    placed: (_ index: Int, _ start: Int) -> Void
  ) {
    output.append(text: method.rawValue)
    output.append(ASCII.space)
    if let implied = target.implied { output.append(implied) }
    output.append(fields.bytes, target.written)
    output.append(" HTTP/1.1\r\n")
    let (forwardedFor, forwarded) = fields.rewritings(policy, client: client)
    for (index, field) in fields.list.enumerated() {
      if fields.isHopByHop(field, connection) {
        if let offer { fields.writeUpgrade(offer.elements, at: index, to: output) }
      } else if field.kind == .forwardedFor, let forwardedFor {
        forwardedFor.write(fields, index, to: output)
      } else if field.kind == .forwarded, let forwarded {
        forwarded.write(fields, index, to: output)
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
      output.append(text: "Host: \(target.authority.map { fields.text($0) } ?? defaultHost)\r\n")
    }
    output.append("\r\n")
  }

  /// What `write` writes for this head and its template; nil where the policy has each client's address written.
  public func serialized(defaultHost: String, policy: ForwardingPolicy) -> SerializedHead? {
    guard !policy.namesClients else { return nil }
    let output = OutputBuffer()
    var places: [Int: Int] = [:]
    write(to: output, defaultHost: defaultHost, policy: policy, client: "", offer: nil) { places[$0] = $1 }
    return SerializedHead(output.bytes, of: fields, judged, places: places)
  }

  /// Writes the head as its template's serialized has it.
  public func write(_ serialized: borrowing SerializedHead, to output: OutputBuffer) {
    serialized.write(to: output, fields)
  }

  /// A field as it came, but for those that frame and route: what we understood them to say.
  private func write(_ field: Field, to output: OutputBuffer) {
    switch (field.kind, framing) {
    case (.host, _): output.appendField(fields, field.name, target.authority ?? field.value)
    case (.contentLength, .length(let length)): output.appendField(fields, field.name, text: "\(length)")
    case (.transferEncoding, _): output.appendField(fields, field.name, "chunked")
    default: output.appendField(fields, field.name, field.value)
    }
  }
}

/// A request target in the form in which it is passed on: origin or asterisk form.
struct RequestTarget {
  /// What an absolute form leaves out: the root's `/`, or `*`.
  var implied: UInt8?
  /// What is passed on of the head's own bytes.
  var written: Range<Int>
  /// The authority of an absolute form, which takes Host's place (RFC 9112 §3.2.2).
  var authority: Range<Int>?
}

/// The request line, found in the head's own bytes: llhttp also takes RTSP and ICE, and reports them as HTTP.
struct RequestLine {
  let method: Method
  let target: Range<Int>
  let minor: Int

  init(_ fields: Fields) throws(HTTPParseError) {
    let bytes = fields.bytes
    guard let end = bytes.firstIndex(of: ASCII.carriageReturn), end + 1 < bytes.count,
      bytes[end + 1] == ASCII.lineFeed, let first = bytes[..<end].firstIndex(of: ASCII.space)
    else { throw HTTPParseError(400, "malformed request line") }
    guard let second = bytes[(first + 1)..<end].firstIndex(of: ASCII.space) else {
      throw HTTPParseError(505, "malformed request line")
    }
    minor = try Self.minorVersion(fields, (second + 1)..<end)
    target = first + 1..<second
    method = try Self.method(fields, 0..<first)
    guard Self.isTarget(bytes[target]) else { throw HTTPParseError(400, "malformed request target") }
  }

  /// Whether bytes may be a target. A backslash in a path is a slash to some and none to others.
  private static func isTarget(_ bytes: ArraySlice<UInt8>) -> Bool {
    guard !bytes.isEmpty, bytes.allSatisfy(ASCII.isTarget) else { return false }
    guard let backslash = bytes.firstIndex(of: ASCII.backslash) else { return true }
    return bytes[..<backslash].contains(UInt8(ascii: "?"))
  }

  /// What is wrong with a request whose line was not taken for one, where that is more than malformed.
  /// - Parameter fields: the head as far as it was read.
  static func fault(_ fields: Fields) -> HTTPParseError? {
    let bytes = fields.bytes
    let end = bytes.firstIndex(of: ASCII.carriageReturn) ?? bytes.count
    if fields.equals(0..<end, "PRI * HTTP/2.0") { return HTTPParseError(505, "HTTP/2 is not served") }
    guard let first = bytes[..<end].firstIndex(of: ASCII.space) else { return nil }
    do throws(HTTPParseError) { _ = try method(fields, 0..<first) } catch { return error }
    // Of a line that has ended the rest was taken for what it should be: the fault lies behind it.
    guard end == bytes.count, let second = bytes[(first + 1)...].firstIndex(of: ASCII.space) else { return nil }
    do throws(HTTPParseError) { _ = try minorVersion(fields, (second + 1)..<bytes.count) } catch { return error }
    return nil
  }

  private static func minorVersion(_ fields: Fields, _ range: Range<Int>) throws(HTTPParseError) -> Int {
    if fields.equals(range, "HTTP/1.1") { return 1 }
    if fields.equals(range, "HTTP/1.0") { return 0 }
    let digits = fields.bytes[range].dropFirst(5)
    let isVersion =
      fields.starts(range, with: "HTTP/") && digits.count == 3 && ASCII.isDigit(fields.bytes[digits.startIndex])
      && fields.bytes[digits.startIndex + 1] == UInt8(ascii: ".") && ASCII.isDigit(fields.bytes[digits.startIndex + 2])
    throw HTTPParseError(isVersion ? 505 : 400, "protocol is neither HTTP/1.1 nor HTTP/1.0")
  }

  private static func method(_ fields: Fields, _ range: Range<Int>) throws(HTTPParseError) -> Method {
    if fields.equals(range, "POST") { return .post }
    if fields.equals(range, "GET") { return .get }
    let text = fields.text(range)
    if let method = Method(rawValue: text) { return method }
    throw text == "CONNECT"
      ? HTTPParseError(405, "CONNECT is not served") : HTTPParseError(501, "method not implemented")
  }

  /// The target as it is passed on.
  func passedOn(_ fields: Fields) throws(HTTPParseError) -> RequestTarget {
    let bytes = fields.bytes
    if bytes[target.lowerBound] == UInt8(ascii: "/") { return RequestTarget(written: target) }
    if target.count == 1, bytes[target.lowerBound] == UInt8(ascii: "*") {
      guard method == .options else { throw HTTPParseError(400, "only OPTIONS may ask for *") }
      return RequestTarget(written: target)
    }
    guard target.count > 7, fields.matches(target.prefix(7), "http://") else {
      throw HTTPParseError(400, "malformed request target")
    }
    let start = target.lowerBound + 7
    let end = bytes[start..<target.upperBound].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
    let authority = start..<(end ?? target.upperBound)
    guard Authority.isValid(bytes[authority]) else { throw HTTPParseError(400, "malformed request target") }
    let written = authority.upperBound..<target.upperBound
    if bytes[written].first == UInt8(ascii: "/") { return RequestTarget(written: written, authority: authority) }
    // No path is the root's, but for an OPTIONS that asks about the server itself (RFC 9112 §3.2.1, §3.2.4).
    let asksServer = method == .options && written.isEmpty
    return RequestTarget(
      implied: asksServer ? UInt8(ascii: "*") : UInt8(ascii: "/"), written: written, authority: authority)
  }
}
