// llhttp driven one message at a time: a head, then where its body's bytes stand in each read, then the end.
// It must not judge a head (RequestHead and ResponseHead do), nor copy body bytes.
import CLLHTTP

/// Where body bytes stand in the bytes given to `MessageParser.parse`, chunk framing left out.
///
/// One list serves all parsers of a thread: it is only good until the next `parse`.
public final class BodySpans {
  /// The spans, in order.
  public fileprivate(set) var list: ContiguousArray<Range<Int32>> = []
  /// An empty list.
  public init() { list.reserveCapacity(256) }

  /// All the spans' bytes.
  public var byteCount: Int {
    var count = 0
    for span in list { count += Int(span.upperBound - span.lowerBound) }
    return count
  }
}

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

  /// The head as it came (valid from `headComplete` on; `takeFields()` moves it out).
  public private(set) var fields = Fields()
  /// Trailer fields that followed a chunked body.
  public private(set) var trailers = Fields()
  /// For a response parser: whether the response answers a HEAD, and so has no body whatever it says.
  public var answersHead = false
  /// Whether the head is whole.
  public private(set) var isHeadComplete = false
  /// Whether any byte of the present message has been seen; empty lines before it are none of it (RFC 9112 §2.2).
  public private(set) var hasBegun = false

  private let kind: Kind
  private let limits: WireLimits
  /// Where the last `parse` found body bytes.
  public let spans: BodySpans
  private let parser: UnsafeMutablePointer<llhttp_t>
  /// The bytes that llhttp is looking at, during `parse` only.
  private var base: UnsafePointer<CChar>?
  private var isMessageComplete = false
  private var openName: Range<Int>?
  private var openValue: Range<Int>?
  private var targetBytes = 0
  private var chunkExtensionBytes = 0
  private var refusal: WireError?

  /// Makes a parser that reports body bytes in `spans`.
  public init(_ kind: Kind, limits: WireLimits, spans: BodySpans) {
    self.kind = kind
    self.limits = limits
    self.spans = spans
    unsafe parser = .allocate(capacity: 1)
    start()
  }

  deinit { unsafe parser.deallocate() }

  /// Forgets the message that ended, for the next one.
  public func reset() {
    fields = Fields()
    trailers = Fields()
    answersHead = false
    isHeadComplete = false
    hasBegun = false
    isMessageComplete = false
    openName = nil
    openValue = nil
    targetBytes = 0
    chunkExtensionBytes = 0
    refusal = nil
    start()
  }

  /// Moves the head out, so that only one place keeps its bytes.
  public func takeFields() -> Fields {
    defer { fields = Fields() }
    return fields
  }

  private func start() {
    unsafe llhttp_init(
      parser, kind == .request ? HTTP_REQUEST : HTTP_RESPONSE, callbacks)
    unsafe parser.pointee.data = Unmanaged.passUnretained(self).toOpaque()
  }

  /// Reads on. Body spans are relative to `bytes`.
  /// - Returns: how many bytes were used, and how far that led.
  public func parse(_ bytes: RawSpan) -> (consumed: Int, progress: Progress) {
    spans.list.removeAll(keepingCapacity: true)
    if isMessageComplete { return (0, .messageComplete) }
    guard bytes.byteCount > 0 else { return (0, .needsMore) }
    if !hasBegun { hasBegun = !Self.isEmptyLines(bytes) }
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: CChar.self) else { return (0, .needsMore) }
      unsafe base = unsafe start
      defer { unsafe base = nil }
      let wasHeadComplete = isHeadComplete
      let error = unsafe llhttp_execute(parser, start, buffer.count)
      var consumed = buffer.count
      if error != HPE_OK, let position = unsafe llhttp_get_error_pos(parser) {
        consumed = unsafe min(max(0, position - start), buffer.count)
      }
      if !wasHeadComplete {
        unsafe fields.bytes.append(contentsOf: buffer.prefix(consumed))
        if refusal == nil, fields.bytes.count > limits.headBytes {
          refusal = WireError(431, "head larger than \(limits.headBytes) bytes")
        }
      }
      return (consumed, progress(after: error, wasHeadComplete: wasHeadComplete))
    }
  }

  private static func isEmptyLines(_ bytes: RawSpan) -> Bool {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe bytes.allSatisfy { $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }
    }
  }

  private func progress(after error: llhttp_errno_t, wasHeadComplete: Bool) -> Progress {
    if let refusal { return .failed(refusal) }
    if error == HPE_OK { return .needsMore }
    if error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE || error == HPE_PAUSED_H2_UPGRADE {
      if isHeadComplete, !wasHeadComplete {
        // llhttp's spans keep the white space behind a value.
        fields.settle()
        if !isMessageComplete { resumeAfterHead() }
        return .headComplete
      }
      if isMessageComplete { return .messageComplete }
    }
    return .failed(WireError(400, "malformed \(isHeadComplete ? "body" : "head") (\(name(of: error)))"))
  }

  /// A message without a body is whole with its head: llhttp says so only when it is run again, if on no bytes at all.
  private func resumeAfterHead() {
    unsafe llhttp_resume(parser)
    _ = unsafe llhttp_execute(parser, base, 0)
  }

  private func name(of error: llhttp_errno_t) -> String {
    unsafe String(cString: llhttp_errno_name(error))
  }

  // MARK: llhttp's callbacks

  fileprivate func sawName(_ at: UnsafePointer<CChar>, _ count: Int) {
    let range = unsafe place(at, count)
    openName = openName.map { $0.lowerBound..<range.upperBound } ?? range
  }

  fileprivate func sawValue(_ at: UnsafePointer<CChar>, _ count: Int) {
    let range = unsafe place(at, count)
    openValue = openValue.map { $0.lowerBound..<range.upperBound } ?? range
  }

  /// Where bytes that llhttp points at stand: in the head's buffer, or, for trailers, in a copy made here.
  private func place(_ at: UnsafePointer<CChar>, _ count: Int) -> Range<Int> {
    if isHeadComplete {
      let start = trailers.bytes.count
      unsafe trailers.bytes.append(contentsOf: UnsafeRawBufferPointer(start: at, count: count))
      if trailers.bytes.count > limits.trailerBytes {
        refusal = WireError(431, "trailers larger than \(limits.trailerBytes) bytes")
      }
      return start..<start + count
    }
    guard let base = unsafe base else { return 0..<0 }
    let start = unsafe fields.bytes.count + (at - base)
    return start..<start + count
  }

  fileprivate func fieldComplete() -> Int32 {
    guard refusal == nil else { return -1 }
    guard let name = openName else { return 0 }
    // An empty value has no span: it stands, empty, behind its name.
    let field = Field(name: name, value: openValue ?? name.upperBound..<name.upperBound)
    if isHeadComplete { trailers.list.append(field) } else { fields.list.append(field) }
    openName = nil
    openValue = nil
    return 0
  }

  fileprivate func headComplete() -> Int32 {
    isHeadComplete = true
    let status = unsafe parser.pointee.status_code
    if kind == .response, answersHead || (100..<200).contains(status) || status == 204 || status == 304 {
      return 1
    }
    return Int32(HPE_PAUSED.rawValue)
  }

  fileprivate func sawBody(_ at: UnsafePointer<CChar>, _ count: Int) {
    guard let base = unsafe base else { return }
    let start = Int32(truncatingIfNeeded: unsafe at - base)
    spans.list.append(start..<start + Int32(truncatingIfNeeded: count))
  }

  fileprivate func sawTarget(_ count: Int) -> Int32 {
    targetBytes += count
    guard targetBytes > limits.targetBytes else { return 0 }
    refusal = WireError(414, "request target longer than \(limits.targetBytes) bytes")
    return -1
  }

  fileprivate func sawChunkExtension(_ count: Int) -> Int32 {
    chunkExtensionBytes += count
    guard chunkExtensionBytes > limits.chunkExtensionBytes else { return 0 }
    refusal = WireError(400, "chunk extensions larger than \(limits.chunkExtensionBytes) bytes")
    return -1
  }

  fileprivate func messageComplete() -> Int32 {
    isMessageComplete = true
    return Int32(HPE_PAUSED.rawValue)
  }

  /// The method by llhttp's own reading, to hold our reading of the request line against.
  var methodName: String {
    unsafe String(cString: llhttp_method_name(llhttp_method_t(UInt32(parser.pointee.method))))
  }
  /// The version by llhttp's own reading.
  var version: (major: Int, minor: Int) {
    unsafe (Int(parser.pointee.http_major), Int(parser.pointee.http_minor))
  }
  /// The status by llhttp's own reading.
  var status: Int { unsafe Int(parser.pointee.status_code) }
}

// MARK: The table that llhttp calls into

/// llhttp's settings: written once here, only read afterwards, by any thread.
nonisolated(unsafe) private let callbacks: UnsafeMutablePointer<llhttp_settings_t> = {
  let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
  unsafe llhttp_settings_init(settings)
  unsafe settings.pointee.on_url = { parser, _, count in unsafe owner(parser)?.sawTarget(count) ?? -1 }
  unsafe settings.pointee.on_header_field = { parser, at, count in
    unsafe span(parser, at, count) { unsafe $0.sawName($1, $2) }
  }
  unsafe settings.pointee.on_header_value = { parser, at, count in
    unsafe span(parser, at, count) { unsafe $0.sawValue($1, $2) }
  }
  unsafe settings.pointee.on_header_value_complete = { unsafe owner($0)?.fieldComplete() ?? -1 }
  unsafe settings.pointee.on_headers_complete = { unsafe owner($0)?.headComplete() ?? -1 }
  unsafe settings.pointee.on_body = { parser, at, count in
    unsafe span(parser, at, count) { unsafe $0.sawBody($1, $2) }
  }
  unsafe settings.pointee.on_chunk_extension_name = { parser, _, count in
    unsafe owner(parser)?.sawChunkExtension(count) ?? -1
  }
  unsafe settings.pointee.on_chunk_extension_value = { parser, _, count in
    unsafe owner(parser)?.sawChunkExtension(count) ?? -1
  }
  unsafe settings.pointee.on_message_complete = { unsafe owner($0)?.messageComplete() ?? -1 }
  return unsafe settings
}()

private func owner(_ parser: UnsafeMutablePointer<llhttp_t>?) -> MessageParser? {
  guard let data = unsafe parser?.pointee.data else { return nil }
  return unsafe Unmanaged<MessageParser>.fromOpaque(data).takeUnretainedValue()
}

private func span(
  _ parser: UnsafeMutablePointer<llhttp_t>?, _ at: UnsafePointer<CChar>?, _ count: Int,
  _ body: (MessageParser, UnsafePointer<CChar>, Int) -> Void
) -> Int32 {
  guard let at = unsafe at, let data = unsafe parser?.pointee.data else { return -1 }
  unsafe Unmanaged<MessageParser>.fromOpaque(data)._withUnsafeGuaranteedRef { unsafe body($0, at, count) }
  return 0
}
