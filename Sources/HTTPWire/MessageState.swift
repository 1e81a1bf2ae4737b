// What llhttp's callbacks find out about one head, and how far its message has been read: MessageParser's other half.
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
  var answersHead = false
  var stage = Stage.head
  var hasBegun = false
  /// Empty lines before a request, and whether half of one has been read.
  var emptyLines = 0
  var isInEmptyLine = false
  /// What is wrong with the message; the parser is of no more use.
  var refusal: WireError?
  /// How the body is delimited, by the head's own fields.
  var framing = BodyFraming.none
  /// The bytes that are still to come of a body with a length.
  var remaining: UInt64 = 0
  var chunked = ChunkedBody()
  /// The bytes that llhttp is looking at, while it does.
  var base: UnsafePointer<CChar>?
  private var openName: Range<Int>?
  private var openValue: Range<Int>?
  private var targetBytes = 0

  /// What is read next.
  enum Stage {
    case head
    /// The rest of a method that llhttp does not know.
    case unknownMethod
    case length
    case chunks
    case untilClose
    case complete
  }

  init(isResponse: Bool, limits: WireLimits, spans: BodySpans) {
    self.isResponse = isResponse
    self.limits = limits
    self.spans = spans
  }

  /// Begins the body that `framing` promises.
  mutating func beginBody() {
    switch framing {
    case .none, .length(0):
      stage = .complete
    case .length(let length):
      remaining = length
      stage = .length
    case .chunked:
      stage = .chunks
    case .untilClose:
      stage = .untilClose
    }
  }

  fileprivate mutating func sawName(_ at: UnsafePointer<CChar>, _ count: Int) {
    let range = unsafe place(at, count)
    openName = openName.map { $0.lowerBound..<range.upperBound } ?? range
  }

  fileprivate mutating func sawValue(_ at: UnsafePointer<CChar>, _ count: Int) {
    let range = unsafe place(at, count)
    openValue = openValue.map { $0.lowerBound..<range.upperBound } ?? range
  }

  /// Where bytes that llhttp points at stand in the head's buffer.
  private func place(_ at: UnsafePointer<CChar>, _ count: Int) -> Range<Int> {
    guard let base = unsafe base else { return 0..<0 }
    let start = unsafe fields.bytes.count + (at - base)
    return start..<start + count
  }

  fileprivate mutating func fieldComplete() -> Int32 {
    guard let name = openName else { return 0 }
    guard fields.list.count < limits.fieldCount else {
      refusal = WireError(431, "more than \(limits.fieldCount) fields", beyond: .fields)
      return -1
    }
    if fields.list.isEmpty { fields.list.reserveCapacity(16) }
    // An empty value has no span: it stands, empty, behind its name.
    fields.list.append(Field(name: name, value: openValue ?? name.upperBound..<name.upperBound))
    openName = nil
    openValue = nil
    return 0
  }

  fileprivate mutating func sawTarget(_ count: Int) -> Int32 {
    targetBytes += count
    guard targetBytes > limits.targetBytes else { return 0 }
    refusal = WireError(414, "request target longer than \(limits.targetBytes) bytes", beyond: .target)
    return -1
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
  unsafe settings.pointee.on_header_value_complete = { parser in
    unsafe state(parser)?.pointee.fieldComplete() ?? -1
  }
  // Bodies are not llhttp's: it stops behind the head.
  unsafe settings.pointee.on_headers_complete = { _ in Int32(HPE_PAUSED.rawValue) }
  return unsafe settings
}()

private func state(_ parser: UnsafeMutablePointer<llhttp_t>?) -> UnsafeMutablePointer<MessageState>? {
  unsafe parser?.pointee.data.assumingMemoryBound(to: MessageState.self)
}
