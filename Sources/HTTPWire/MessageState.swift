// What llhttp's callbacks find out about one message: the other half of MessageParser.
// It must not judge a head, nor copy body bytes.
import CLLHTTP

/// The message that is being read. llhttp's callbacks reach it through `llhttp_t.data`; MessageParser owns it.
///
/// It lies behind a pointer because C holds it: nobody else touches it while `llhttp_execute` runs.
@safe
struct MessageState {
  let isResponse: Bool
  let limits: WireLimits
  let spans: BodySpans
  var fields = Fields()
  var trailers = Fields()
  var answersHead = false
  var isHeadComplete = false
  var hasBegun = false
  var isMessageComplete = false
  var refusal: WireError?
  /// The bytes that llhttp is looking at, during `parse` only.
  var base: UnsafePointer<CChar>?
  private var openName: Range<Int>?
  private var openValue: Range<Int>?
  private var targetBytes = 0
  private var chunkExtensionBytes = 0

  init(isResponse: Bool, limits: WireLimits, spans: BodySpans) {
    self.isResponse = isResponse
    self.limits = limits
    self.spans = spans
  }

  fileprivate mutating func sawName(_ at: UnsafePointer<CChar>, _ count: Int) {
    let range = unsafe place(at, count)
    openName = openName.map { $0.lowerBound..<range.upperBound } ?? range
  }

  fileprivate mutating func sawValue(_ at: UnsafePointer<CChar>, _ count: Int) {
    let range = unsafe place(at, count)
    openValue = openValue.map { $0.lowerBound..<range.upperBound } ?? range
  }

  /// Where bytes that llhttp points at stand: in the head's buffer, or, for trailers, in a copy made here.
  private mutating func place(_ at: UnsafePointer<CChar>, _ count: Int) -> Range<Int> {
    if isHeadComplete {
      let start = trailers.bytes.count
      unsafe trailers.bytes.append(contentsOf: UnsafeRawBufferPointer(start: at, count: count))
      if trailers.bytes.count > limits.trailerBytes {
        refusal = WireError(431, "trailers larger than \(limits.trailerBytes) bytes", beyond: .trailers)
      }
      return start..<start + count
    }
    guard let base = unsafe base else { return 0..<0 }
    let start = unsafe fields.bytes.count + (at - base)
    return start..<start + count
  }

  fileprivate mutating func fieldComplete() -> Int32 {
    guard refusal == nil else { return -1 }
    guard let name = openName else { return 0 }
    // An empty value has no span: it stands, empty, behind its name.
    let field = Field(name: name, value: openValue ?? name.upperBound..<name.upperBound)
    if isHeadComplete {
      // llhttp minds some of them, of some messages.
      if trailers.matches(name, "content-length") || trailers.matches(name, "transfer-encoding") {
        refusal = WireError(400, "a trailer that would frame")
        return -1
      }
      trailers.list.append(field)
    } else {
      if fields.list.isEmpty { fields.list.reserveCapacity(16) }
      fields.list.append(field)
    }
    openName = nil
    openValue = nil
    return 0
  }

  fileprivate mutating func headComplete(status: UInt16) -> Int32 {
    isHeadComplete = true
    if isResponse, answersHead || (100..<200).contains(status) || status == 204 || status == 304 { return 1 }
    return Int32(HPE_PAUSED.rawValue)
  }

  fileprivate mutating func sawBody(_ at: UnsafePointer<CChar>, _ count: Int) {
    guard let base = unsafe base else { return }
    spans.append(unsafe at - base, count: count)
  }

  fileprivate mutating func sawTarget(_ count: Int) -> Int32 {
    targetBytes += count
    guard targetBytes > limits.targetBytes else { return 0 }
    refusal = WireError(414, "request target longer than \(limits.targetBytes) bytes", beyond: .target)
    return -1
  }

  fileprivate mutating func sawChunkExtension(_ count: Int) -> Int32 {
    chunkExtensionBytes += count
    guard chunkExtensionBytes > limits.chunkExtensionBytes else { return 0 }
    refusal = WireError(
      400, "chunk extensions larger than \(limits.chunkExtensionBytes) bytes", beyond: .chunkExtensions)
    return -1
  }

  fileprivate mutating func messageComplete() -> Int32 {
    isMessageComplete = true
    return Int32(HPE_PAUSED.rawValue)
  }
}

// MARK: The table that llhttp calls into

/// llhttp's settings: written once here, only read afterwards, by any thread.
nonisolated(unsafe) let messageCallbacks: UnsafeMutablePointer<llhttp_settings_t> = {
  let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
  unsafe llhttp_settings_init(settings)
  unsafe settings.pointee.on_url = { parser, _, count in unsafe state(parser)?.pointee.sawTarget(count) ?? -1 }
  unsafe settings.pointee.on_header_field = { parser, at, count in
    guard let at = unsafe at, let state = unsafe state(parser) else { return -1 }
    unsafe state.pointee.sawName(at, count)
    return 0
  }
  unsafe settings.pointee.on_header_value = { parser, at, count in
    guard let at = unsafe at, let state = unsafe state(parser) else { return -1 }
    unsafe state.pointee.sawValue(at, count)
    return 0
  }
  unsafe settings.pointee.on_header_value_complete = { unsafe state($0)?.pointee.fieldComplete() ?? -1 }
  unsafe settings.pointee.on_headers_complete = { parser in
    guard let parser = unsafe parser else { return -1 }
    return unsafe state(parser)?.pointee.headComplete(status: parser.pointee.status_code) ?? -1
  }
  unsafe settings.pointee.on_body = { parser, at, count in
    guard let at = unsafe at, let state = unsafe state(parser) else { return -1 }
    unsafe state.pointee.sawBody(at, count)
    return 0
  }
  unsafe settings.pointee.on_chunk_extension_name = { parser, _, count in
    unsafe state(parser)?.pointee.sawChunkExtension(count) ?? -1
  }
  unsafe settings.pointee.on_chunk_extension_value = { parser, _, count in
    unsafe state(parser)?.pointee.sawChunkExtension(count) ?? -1
  }
  unsafe settings.pointee.on_message_complete = { unsafe state($0)?.pointee.messageComplete() ?? -1 }
  return unsafe settings
}()

private func state(_ parser: UnsafeMutablePointer<llhttp_t>?) -> UnsafeMutablePointer<MessageState>? {
  unsafe parser?.pointee.data.assumingMemoryBound(to: MessageState.self)
}
