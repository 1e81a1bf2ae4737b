// llhttp driven one message at a time: a head, then where its body's bytes stand in each read, then the end.
// It must not judge a head (RequestHead and ResponseHead do), nor copy body bytes.
import CLLHTTP

/// A strict HTTP/1.1 parser for one side of one connection (all of llhttp's lenient flags stay off).
///
/// It stops after each head and after each message; `reset()` makes it ready for the next message. Confined to one thread.
@safe
public final class MessageParser {
  /// Which messages it reads.
  public enum Kind: Sendable {
    case request
    case response
  }

  /// How far one `parse` came.
  public enum Progress: Hashable, Sendable {
    /// All bytes were used; more are wanted.
    case needsMore
    /// The head is whole and stands in `fields`; `parse` the rest to go on.
    case headComplete
    /// The message is whole; bytes behind it are left alone.
    case messageComplete
    /// The bytes are not a strict HTTP/1.1 message. The parser is of no more use.
    case failed(WireError)
  }

  private let parser: UnsafeMutablePointer<llhttp_t>
  private let state: UnsafeMutablePointer<MessageState>

  /// Makes a parser that reports body bytes in `spans`.
  public init(_ kind: Kind, limits: WireLimits, spans: BodySpans) {
    unsafe parser = .allocate(capacity: 1)
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: MessageState(isResponse: kind == .response, limits: limits, spans: spans))
    start()
  }

  deinit {
    unsafe state.deinitialize(count: 1)
    unsafe state.deallocate()
    unsafe parser.deallocate()
  }

  /// Where the last `parse` found body bytes.
  public var spans: BodySpans { unsafe state.pointee.spans }
  /// The head as it came, from `headComplete` on; `takeFields()` moves it out.
  public var fields: Fields { unsafe state.pointee.fields }
  /// Trailer fields that followed a chunked body.
  public var trailers: Fields { unsafe state.pointee.trailers.isEmpty ? Fields() : state.pointee.trailers }
  /// Whether the head is whole.
  public var isHeadComplete: Bool { unsafe state.pointee.isHeadComplete }
  /// Whether any byte of the present message has been seen; empty lines before it are none of it (RFC 9112 §2.2).
  public var hasBegun: Bool { unsafe state.pointee.hasBegun }
  /// For a response parser: whether the response answers a HEAD, and so has no body whatever it says.
  public var answersHead: Bool {
    get { unsafe state.pointee.answersHead }
    set { unsafe state.pointee.answersHead = newValue }
  }

  /// Forgets the message that ended, for the next one.
  public func reset() {
    let old = unsafe state.move()
    unsafe state.initialize(to: MessageState(isResponse: old.isResponse, limits: old.limits, spans: old.spans))
    start()
  }

  /// Moves the head out, so that only one place keeps its bytes.
  public func takeFields() -> Fields {
    var taken = Fields()
    unsafe swap(&taken, &state.pointee.fields)
    return taken
  }

  private func start() {
    unsafe llhttp_init(parser, state.pointee.isResponse ? HTTP_RESPONSE : HTTP_REQUEST, messageCallbacks)
    unsafe parser.pointee.data = UnsafeMutableRawPointer(state)
  }

  /// Reads on. Body spans are relative to `bytes`.
  /// - Returns: how many bytes were used, and how far that led.
  public func parse(_ bytes: RawSpan) -> (consumed: Int, progress: Progress) {
    spans.removeAll()
    if unsafe state.pointee.isMessageComplete { return (0, .messageComplete) }
    guard bytes.byteCount > 0 else { return (0, .needsMore) }
    if unsafe !state.pointee.hasBegun { unsafe state.pointee.hasBegun = !Self.isEmptyLines(bytes) }
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: CChar.self) else { return (0, .needsMore) }
      unsafe state.pointee.base = unsafe start
      defer { unsafe state.pointee.base = nil }
      let wasHeadComplete = isHeadComplete
      let error = unsafe llhttp_execute(parser, start, buffer.count)
      if error == HPE_OK, wasHeadComplete, unsafe state.pointee.refusal == nil { return (buffer.count, .needsMore) }
      var consumed = buffer.count
      if error != HPE_OK, let position = unsafe llhttp_get_error_pos(parser) {
        consumed = unsafe min(max(0, position - start), buffer.count)
      }
      if !wasHeadComplete { unsafe keepHead(buffer.prefix(consumed)) }
      return (consumed, progress(after: error, wasHeadComplete: wasHeadComplete))
    }
  }

  private func keepHead(_ bytes: Slice<UnsafeRawBufferPointer>) {
    unsafe state.pointee.fields.bytes.append(contentsOf: bytes)
    let limit = unsafe state.pointee.limits.headBytes
    if unsafe state.pointee.refusal == nil, unsafe state.pointee.fields.bytes.count > limit {
      unsafe state.pointee.refusal = WireError(431, "head larger than \(limit) bytes", beyond: .head)
    }
  }

  private static func isEmptyLines(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe bytes.allSatisfy { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }
    }
  }

  private func progress(after error: llhttp_errno_t, wasHeadComplete: Bool) -> Progress {
    if let refusal = unsafe state.pointee.refusal { return .failed(refusal) }
    if error == HPE_OK { return .needsMore }
    if error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE || error == HPE_PAUSED_H2_UPGRADE {
      if isHeadComplete, !wasHeadComplete {
        // llhttp's spans keep the white space behind a value.
        unsafe state.pointee.fields.settle()
        if unsafe !state.pointee.isMessageComplete { resumeAfterHead() }
        return .headComplete
      }
      if unsafe state.pointee.isMessageComplete { return .messageComplete }
    }
    let name = unsafe String(cString: llhttp_errno_name(error))
    return .failed(WireError(400, "malformed \(isHeadComplete ? "body" : "head") (\(name))"))
  }

  /// A message without a body is whole with its head: llhttp says so only when it is run again, if on no bytes at all.
  private func resumeAfterHead() {
    unsafe llhttp_resume(parser)
    _ = unsafe llhttp_execute(parser, state.pointee.base, 0)
  }

  /// Whether llhttp read the same method: our own reading of the request line is held against it.
  func hasMethod(_ method: Method) -> Bool {
    let read = unsafe parser.pointee.method
    switch method {
    case .get: return read == UInt8(HTTP_GET.rawValue)
    case .head: return read == UInt8(HTTP_HEAD.rawValue)
    case .post: return read == UInt8(HTTP_POST.rawValue)
    case .put: return read == UInt8(HTTP_PUT.rawValue)
    case .delete: return read == UInt8(HTTP_DELETE.rawValue)
    case .options: return read == UInt8(HTTP_OPTIONS.rawValue)
    case .patch: return read == UInt8(HTTP_PATCH.rawValue)
    case .trace: return read == UInt8(HTTP_TRACE.rawValue)
    }
  }
  /// The version by llhttp's own reading.
  var version: (major: Int, minor: Int) {
    unsafe (Int(parser.pointee.http_major), Int(parser.pointee.http_minor))
  }
  /// The status by llhttp's own reading.
  var status: Int { unsafe Int(parser.pointee.status_code) }
}
