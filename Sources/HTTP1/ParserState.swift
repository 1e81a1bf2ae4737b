// What llhttp's callbacks find out about one head, and how far its message has been read: MessageParser's other half.
// It must not validate a head, nor copy body bytes.
import CLLHTTP
import HTTP

/// The message that is being read. llhttp's callbacks reach it through `llhttp_t.data`; MessageParser owns it.
///
/// It lies behind a pointer because C holds it: nobody else touches it while `llhttp_execute` runs.
@safe
struct ParserState {
  // What each read of a body touches stands first, and close together.
  var stage = Stage.head
  /// Whether there is a refusal: asked at each read.
  private(set) var isRefused = false
  let isResponse: Bool
  var answersHead = false
  /// Whether llhttp has read any of it.
  var ranParser = false
  var hasBegun = false
  var chunked = ChunkedDecoder()
  /// The bytes that are still to come of a body with a length.
  var remaining: UInt64 = 0
  let limits: HTTPLimits
  var fields = Fields()
  /// Empty lines before a request, and whether half of one has been read.
  var emptyLines = 0
  var isInEmptyLine = false
  /// What is wrong with the message; the parser is of no more use.
  var refusal: HTTPParseError? {
    didSet { isRefused = refusal != nil }
  }
  /// How the body is delimited, by the head's own fields.
  var framing = BodyFraming.none
  /// Fields that llhttp has found: our own reading of the head must find as many.
  private(set) var fieldCount = 0
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

  init(isResponse: Bool, limits: HTTPLimits) {
    self.isResponse = isResponse
    self.limits = limits
  }

  /// Forgets the message, for the next one.
  mutating func restart() {
    if ranParser { fields = Fields() }
    answersHead = false
    stage = .head
    ranParser = false
    hasBegun = false
    emptyLines = 0
    isInEmptyLine = false
    if isRefused { refusal = nil }
    framing = .none
    remaining = 0
    chunked.restart()
    fieldCount = 0
    targetBytes = 0
  }

  /// Continues behind a head that somebody else has read.
  mutating func skipHead(_ framing: BodyFraming) {
    hasBegun = true
    self.framing = framing
    beginBody()
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

  fileprivate mutating func sawField() -> Int32 {
    fieldCount += 1
    guard fieldCount > limits.fieldCount else { return 0 }
    refusal = HTTPParseError(.tooManyFields, "more than \(limits.fieldCount) fields")
    return -1
  }

  fileprivate mutating func sawTarget(_ count: Int) -> Int32 {
    targetBytes += count
    guard targetBytes > limits.targetBytes else { return 0 }
    refusal = HTTPParseError(.targetTooLong, "request target longer than \(limits.targetBytes) bytes")
    return -1
  }
}

// MARK: The table that llhttp calls into

/// llhttp's settings: written once here, only read afterwards, by any thread.
nonisolated(unsafe) let messageCallbacks: UnsafeMutablePointer<llhttp_settings_t> = {
  let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
  unsafe llhttp_settings_init(settings)
  unsafe settings.pointee.on_url = { parser, _, count in unsafe state(parser)?.pointee.sawTarget(count) ?? -1 }
  // Where names and values stand we find ourselves, once, when the head is whole: two callbacks a field cost more.
  unsafe settings.pointee.on_header_value_complete = { unsafe state($0)?.pointee.sawField() ?? -1 }
  // Bodies are not llhttp's: it stops behind the head.
  unsafe settings.pointee.on_headers_complete = { _ in Int32(HPE_PAUSED.rawValue) }
  return unsafe settings
}()

private func state(_ parser: UnsafeMutablePointer<llhttp_t>?) -> UnsafeMutablePointer<ParserState>? {
  unsafe parser?.pointee.data.assumingMemoryBound(to: ParserState.self)
}
