// Parses one message at a time: llhttp parses the head, we find the body's bytes in each read, and its end.
import CLLHTTP
import HTTP

/// A strict HTTP/1.1 parser for one side of one connection (all of llhttp's lenient flags are off).
///
/// llhttp parses heads; `RequestHead` and `ResponseHead` validate them. Bodies are parsed here, and not copied: llhttp accepts
/// chunk size lines of any length, and does not report where it frames a response in another way than its fields say.
/// It stops behind each head and behind each message; `reset()` prepares it for the next message. Confined to one thread.
@safe
public final class MessageParser {
  /// Which messages it parses.
  public enum Kind: Sendable {
    case request
    case response
  }

  /// How far one `parse` led.
  public enum Progress: Hashable, Sendable {
    /// All bytes were consumed, and more are needed.
    case needsMore
    /// The head is complete and in `fields`; `parse` the rest to continue.
    case headComplete
    /// The message is complete; bytes behind it are not consumed.
    case messageComplete
    /// The bytes are not an HTTP/1.1 message, or break a limit. Until `reset`, the parser returns this error.
    case failed(HTTPParseError)
  }

  private let parser: UnsafeMutablePointer<llhttp_t>
  private let state: UnsafeMutablePointer<ParserState>

  /// Makes a parser of messages of one kind.
  public init(_ kind: Kind, limits: HTTPLimits) {
    unsafe parser = .allocate(capacity: 1)
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: ParserState(isResponse: kind == .response, limits: limits))
    start()
  }

  deinit {
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
    unsafe parser.deallocate()
  }

  /// Whether the last `parse` consumed whole chunks only, with or without the body's end, exactly as `BodyEncoder` encodes them.
  public var isCanonical: Bool { unsafe state.pointee.chunked.isCanonical }
  /// Where in what `parse` consumed last chunks stand that are whole and exactly as `BodyEncoder` encodes them; empty where none do.
  var verbatimChunks: Range<Int> { unsafe state.pointee.chunked.verbatim }
  /// The head as it was received, from `headComplete` on, until `moveFields()`.
  public var fields: Fields { unsafe state.pointee.fields }
  /// Trailer fields that followed a chunked body.
  public var trailers: Fields {
    unsafe state.pointee.chunked.trailers.isEmpty ? Fields() : state.pointee.chunked.trailers
  }
  /// Whether the message is complete.
  public var isComplete: Bool { unsafe state.pointee.stage == .complete }
  /// Whether the head is complete.
  public var isHeadComplete: Bool {
    switch unsafe state.pointee.stage {
    case .head, .unknownMethod: false
    case .length, .chunks, .untilClose, .complete: true
    }
  }
  /// Whether a byte of the present message has been parsed. Empty lines before it do not count (RFC 9112 §2.2).
  public var hasBegun: Bool { unsafe state.pointee.hasBegun }
  /// For a response parser: whether the response answers a HEAD, and so has no body whatever it says.
  public var answersHead: Bool {
    get { unsafe state.pointee.answersHead }
    set { unsafe state.pointee.answersHead = newValue }
  }

  /// Prepares for the next message.
  public func reset() {
    let ranParser = unsafe state.pointee.ranParser
    unsafe state.pointee.reset()
    if ranParser { start() }
  }

  /// Moves the head out, so that its bytes have one owner.
  public func moveFields() -> Fields {
    var taken = Fields()
    unsafe swap(&taken, &state.pointee.fields)
    return taken
  }

  /// Whether the next byte is the first one of a message.
  public var isBetweenMessages: Bool {
    unsafe state.pointee.stage == .head && !state.pointee.hasBegun && !state.pointee.isInEmptyLine
  }
  /// Whether a request target may have any byte but control bytes and spaces; to be changed between two messages only.
  public var acceptsAnyTarget: Bool {
    get { unsafe state.pointee.acceptsAnyTarget }
    set { unsafe state.pointee.acceptsAnyTarget = newValue }
  }
  /// Sizes beyond which a message is refused; to be changed between two messages only.
  public var limits: HTTPLimits {
    get { unsafe state.pointee.limits }
    set { unsafe state.pointee.limits = newValue }
  }
  /// Size of the longest head that is accepted, in bytes.
  public var headLimit: Int { unsafe state.pointee.limits.headBytes }

  /// Continues behind a head that somebody else has read, as after `headComplete`.
  public func skipHead(framing: BodyFraming) {
    unsafe state.pointee.skipHead(framing)
  }

  private func start() {
    unsafe llhttp_init(parser, state.pointee.isResponse ? HTTP_RESPONSE : HTTP_REQUEST, messageCallbacks)
    unsafe parser.pointee.data = UnsafeMutableRawPointer(state)
  }

  /// Parses the next bytes.
  /// - Parameter ranges: gets the places of the body bytes in `bytes`, in place of what it holds.
  /// - Returns: how many bytes were consumed, and how far that led.
  public func parse(_ bytes: RawSpan, into ranges: BodyRanges) -> (consumed: Int, progress: Progress) {
    ranges.removeAll()
    if unsafe state.pointee.isRefused, let refusal = unsafe state.pointee.refusal { return (0, .failed(refusal)) }
    return unsafe bytes.withUnsafeBytes { bytes in
      do throws(HTTPParseError) {
        return unsafe try read(bytes, into: ranges)
      } catch {
        unsafe state.pointee.refusal = error
        return (0, .failed(error))
      }
    }
  }

  private func read(
    _ bytes: UnsafeRawBufferPointer, into ranges: BodyRanges
  ) throws(HTTPParseError) -> (consumed: Int, progress: Progress) {
    var consumed = bytes.count
    switch unsafe state.pointee.stage {
    case .head:
      return unsafe try readHead(bytes)
    case .unknownMethod:
      unsafe appendHead(bytes[...])
      try validateMethod()
      return (bytes.count, .needsMore)
    case .complete:
      return (0, .messageComplete)
    case .untilClose:
      if unsafe !bytes.isEmpty { ranges.append(0, count: bytes.count) }
    case .length:
      consumed = Int(unsafe min(state.pointee.remaining, UInt64(bytes.count)))
      if consumed > 0 { ranges.append(0, count: consumed) }
      unsafe state.pointee.remaining -= UInt64(consumed)
      if unsafe state.pointee.remaining == 0 { unsafe state.pointee.stage = .complete }
    case .chunks:
      consumed = unsafe try state.pointee.chunked.read(bytes, from: 0, limits: state.pointee.limits, ranges: ranges)
      if unsafe state.pointee.chunked.isComplete { unsafe state.pointee.stage = .complete }
    }
    return (consumed, unsafe state.pointee.stage == .complete ? .messageComplete : .needsMore)
  }

  // MARK: Heads

  private func readHead(_ bytes: UnsafeRawBufferPointer) throws(HTTPParseError) -> (consumed: Int, progress: Progress) {
    let begun = unsafe hasBegun ? 0 : try skipEmptyLines(bytes)
    let head = unsafe UnsafeRawBufferPointer(rebasing: bytes[begun...])
    guard let start = unsafe head.baseAddress?.assumingMemoryBound(to: CChar.self), unsafe !head.isEmpty else {
      return (bytes.count, .needsMore)
    }
    unsafe state.pointee.ranParser = true
    var (error, consumed) =
      unsafe state.pointee.masksTarget
      ? executeMasked(head, seen: state.pointee.fields.bytes.count) : execute(start, head.count)
    if error == HPE_INVALID_URL, acceptsAnyTarget, consumed < head.count, unsafe head[consumed] >= 0x80 {
      // llhttp has no flag for such a byte, which nginx forwards: it is shown another one in its place.
      unsafe state.pointee.masksTarget = true
      self.start()
      unsafe state.pointee.restartCounts()
      (error, consumed) = unsafe executeMasked(head, seen: 0)
    }
    if let refusal = unsafe state.pointee.refusal {
      unsafe appendHead(head[...])
      throw refusal
    }
    switch error {
    case HPE_OK:
      unsafe appendHead(head[...])
      try checkSize()
      return (bytes.count, .needsMore)
    case HPE_PAUSED:
      unsafe appendHead(head.prefix(consumed))
      try checkSize()
      finishHead()
      return (begun + consumed, .headComplete)
    case HPE_INVALID_METHOD where unsafe !state.pointee.isResponse:
      // llhttp stops at the first byte that none of its methods has there: the method is known at its end.
      unsafe appendHead(head[...])
      try validateMethod()
      return (bytes.count, .needsMore)
    default:
      unsafe appendHead(head.prefix(consumed))
      let fault = unsafe state.pointee.isResponse ? nil : RequestLine.fault(state.pointee.fields)
      throw fault ?? framingError(error) ?? Self.parseError(error)
    }
  }

  private func execute(_ start: UnsafePointer<CChar>, _ count: Int) -> (error: llhttp_errno_t, consumed: Int) {
    let error = unsafe llhttp_execute(parser, start, count)
    guard error != HPE_OK, let position = unsafe llhttp_get_error_pos(parser) else { return (error, count) }
    return unsafe (error, min(max(0, position - start), count))
  }

  /// The same with each byte beyond ASCII in the request line replaced by a letter.
  /// - Parameter seen: bytes of the head before `head` that llhttp has parsed.
  private func executeMasked(
    _ head: UnsafeRawBufferPointer, seen: Int
  ) -> (error: llhttp_errno_t, consumed: Int) {
    var bytes = unsafe Array(state.pointee.fields.bytes[seen...])
    let before = bytes.count
    unsafe bytes.append(contentsOf: head)
    let end = bytes.firstIndex(of: ASCII.carriageReturn) ?? bytes.count
    for index in 0..<end where bytes[index] >= 0x80 { bytes[index] = UInt8(ascii: "x") }
    // What is behind the line is parsed as it came, and not copied.
    if end < bytes.count { unsafe state.pointee.masksTarget = false }
    let (error, consumed) = unsafe bytes.withUnsafeBytes { bytes in
      unsafe bytes.baseAddress.map { base in
        unsafe execute(base.assumingMemoryBound(to: CChar.self), bytes.count)
      } ?? (HPE_OK, 0)
    }
    return (error, max(0, consumed - before))
  }

  /// Skips the empty lines that a client may send before a request (RFC 9112 §2.2), up to `maxEmptyLines`.
  private func skipEmptyLines(_ bytes: UnsafeRawBufferPointer) throws(HTTPParseError) -> Int {
    guard unsafe !state.pointee.isResponse else {
      guard unsafe bytes.first == UInt8(ascii: "H") || bytes.isEmpty else {
        throw HTTPParseError(.malformedStartLine, "not a status line")
      }
      unsafe state.pointee.hasBegun = unsafe !bytes.isEmpty
      return 0
    }
    for index in bytes.indices {
      let byte = unsafe bytes[index]
      if unsafe state.pointee.isInEmptyLine {
        guard byte == ASCII.lineFeed else {
          throw HTTPParseError(.malformedStartLine, "CR without LF before the request line")
        }
        unsafe state.pointee.isInEmptyLine = false
      } else if byte == ASCII.carriageReturn {
        unsafe state.pointee.emptyLines += 1
        unsafe state.pointee.isInEmptyLine = true
        guard unsafe state.pointee.emptyLines <= Self.maxEmptyLines else {
          throw HTTPParseError(.malformedStartLine, "too many empty lines before the request line")
        }
      } else if byte == ASCII.lineFeed {
        throw HTTPParseError(.malformedStartLine, "LF without CR before the request line")
      } else {
        // The first byte of each TLS handshake (RFC 8446 §5.1), and of no method.
        guard byte != 0x16 else {
          throw HTTPParseError(
            .unexpectedTLS,
            "this port serves plain HTTP, and TLS came: use http:// in the URL, or end TLS before the proxy")
        }
        unsafe state.pointee.hasBegun = true
        return index
      }
    }
    return bytes.count
  }

  private static let maxEmptyLines = 8

  private func appendHead(_ bytes: Slice<UnsafeRawBufferPointer>) {
    unsafe state.pointee.fields.bytes.append(contentsOf: bytes)
  }

  private func checkSize() throws(HTTPParseError) {
    let limit = unsafe state.pointee.limits.headBytes
    guard unsafe state.pointee.fields.bytes.count > limit else { return }
    throw HTTPParseError(.headTooLarge, "head larger than \(limit) bytes")
  }

  /// The head is complete: its fields say what follows.
  private func finishHead() {
    do throws(HTTPParseError) {
      guard unsafe state.pointee.fields.split() == state.pointee.fieldCount else {
        throw HTTPParseError(.malformedField, "ambiguous fields")
      }
      let declared = unsafe try state.pointee.fields.declaredFraming(isVersion11: version.minor == 1)
      guard isFramed(declared) else { throw HTTPParseError(.ambiguousFraming, "ambiguous framing") }
      unsafe state.pointee.framing = declared ?? .none
      if unsafe state.pointee.isResponse {
        let hasNoBody = answersHead || status < 200 || status == 204 || status == 304
        unsafe state.pointee.framing = hasNoBody ? .none : declared ?? .untilClose
      }
    } catch {
      unsafe state.pointee.refusal = error
    }
    unsafe state.pointee.beginBody()
  }

  /// Whether llhttp found the same framing. Where two readers differ, the next server may differ, too.
  private func isFramed(_ framing: BodyFraming?) -> Bool {
    let flags = unsafe UInt32(parser.pointee.flags)
    let isChunked = flags & F_CHUNKED.rawValue != 0
    let hasLength = flags & F_CONTENT_LENGTH.rawValue != 0
    switch framing {
    case .chunked: return isChunked && !hasLength
    case .length(let length): return unsafe hasLength && !isChunked && parser.pointee.content_length == length
    case nil, .some(.none), .untilClose: return !isChunked && !hasLength
    }
  }

  /// How the body is delimited: by the head's fields, and in a response also by its status and its request.
  /// - Throws: `HTTPParseError` where the fields do not say so in exactly one way.
  func framing() throws(HTTPParseError) -> BodyFraming {
    if let refusal = unsafe state.pointee.refusal { throw refusal }
    return unsafe state.pointee.framing
  }

  /// Refuses a method that llhttp does not know, once its end is there: it is not implemented, or malformed.
  private func validateMethod() throws(HTTPParseError) {
    let bytes = unsafe state.pointee.fields.bytes
    let method = bytes.prefix(Self.maxMethodBytes + 1).prefix(while: ASCII.isToken)
    if method.count > Self.maxMethodBytes { throw HTTPParseError(unknownMethod: method) }
    guard method.count < bytes.count else {
      unsafe state.pointee.stage = .unknownMethod
      return
    }
    throw bytes[method.count] == ASCII.space && !method.isEmpty
      ? HTTPParseError(unknownMethod: method)
      : HTTPParseError(.malformedStartLine, "malformed request line")
  }

  private static let maxMethodBytes = 64

  /// What our own reading finds wrong with the framing fields where llhttp has refused one of them: llhttp's errors are about
  /// the field that it came to last, whatever was before that one. Nil where our reading finds nothing up to that place.
  private func framingError(_ error: llhttp_errno_t) -> HTTPParseError? {
    switch error {
    case HPE_INVALID_CONTENT_LENGTH, HPE_UNEXPECTED_CONTENT_LENGTH, HPE_INVALID_TRANSFER_ENCODING: break
    default: return nil
    }
    var read = Fields()
    read.bytes = unsafe state.pointee.fields.bytes
    read.bytes += (read.bytes.last == ASCII.lineFeed ? "\r\n" : "\r\n\r\n").utf8
    guard read.split() != nil else { return nil }
    do throws(HTTPParseError) {
      // The version is not what llhttp has refused: what is wrong is wrong in either.
      _ = try read.declaredFraming(isVersion11: true)
      return nil
    } catch {
      return HTTPParseError(.ambiguousFraming, error.detail)
    }
  }

  /// What llhttp found wrong with a head, in our words.
  private static func parseError(_ error: llhttp_errno_t) -> HTTPParseError {
    switch error {
    case HPE_INVALID_URL: HTTPParseError(.malformedTarget, "malformed request target")
    case HPE_INVALID_METHOD, HPE_INVALID_CONSTANT, HPE_INVALID_VERSION, HPE_INVALID_STATUS:
      HTTPParseError(.malformedStartLine, "malformed start line")
    case HPE_INVALID_HEADER_TOKEN:
      HTTPParseError(.malformedField, "a byte that may not stand in a field, or a folded line")
    case HPE_UNEXPECTED_SPACE: HTTPParseError(.malformedField, "white space before a field")
    case HPE_CR_EXPECTED, HPE_LF_EXPECTED, HPE_STRICT:
      HTTPParseError(.malformedField, "a line does not end with CRLF")
    case HPE_INVALID_CONTENT_LENGTH:
      HTTPParseError(.ambiguousFraming, "Content-Length is not a plain decimal number")
    case HPE_INVALID_TRANSFER_ENCODING: HTTPParseError(.ambiguousFraming, "Transfer-Encoding other than chunked")
    default: HTTPParseError(.malformedField, "malformed head")
    }
  }

  /// Whether llhttp has parsed the same method as we have.
  func hasMethod(_ method: Method) -> Bool { unsafe Method(llhttp: parser.pointee.method) == method }
  /// The version that llhttp has parsed.
  var version: (major: Int, minor: Int) {
    unsafe (Int(parser.pointee.http_major), Int(parser.pointee.http_minor))
  }
  /// The status that llhttp has parsed.
  var status: Int { unsafe Int(parser.pointee.status_code) }
}
