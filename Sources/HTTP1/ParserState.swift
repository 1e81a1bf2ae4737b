// The state of a MessageParser, which llhttp's callbacks share.
import CLLHTTP
import HTTP

/// The message that is being parsed. llhttp's callbacks reach it through `llhttp_t.data`; `MessageParser` owns it.
///
/// It is behind a pointer because C has it: nobody else accesses it while `llhttp_execute` runs.
@safe
struct ParserState {
  // What each read of a body needs is first, and close together.
  var stage = Stage.head
  /// Whether there is an error; each read needs it.
  private(set) var isRefused = false
  let isResponse: Bool
  var answersHead = false
  /// Whether llhttp has parsed any of it.
  var ranParser = false
  var hasBegun = false
  var chunked = ChunkedDecoder()
  /// Bytes of a body with a length that have not come.
  var remaining: UInt64 = 0
  var limits: HTTPLimits
  var fields = Fields()
  /// Empty lines before a request, and whether only the CR of one has been read.
  var emptyLines = 0
  var isInEmptyLine = false
  /// What is wrong with the message.
  var refusal: HTTPParseError? {
    didSet { isRefused = refusal != nil }
  }
  /// How the body is delimited.
  var framing = BodyFraming.none
  /// Fields that llhttp has found: our own scan has to find as many.
  private(set) var fieldCount = 0
  private var targetBytes = 0
  /// Whether a request target may have any byte but control bytes and spaces.
  var acceptsAnyTarget = true
  /// Whether llhttp is shown letters in place of the target's bytes beyond ASCII: until the request line has ended.
  var masksTarget = false

  /// What is parsed next.
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

  /// Prepares for the next message.
  mutating func reset() {
    if ranParser { fields = Fields() }
    answersHead = false
    masksTarget = false
    stage = .head
    ranParser = false
    hasBegun = false
    emptyLines = 0
    isInEmptyLine = false
    if isRefused { refusal = nil }
    framing = .none
    remaining = 0
    chunked.reset()
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

  /// llhttp parses the head from its beginning again.
  mutating func restartCounts() {
    fieldCount = 0
    targetBytes = 0
  }

  fileprivate mutating func countField() -> Int32 {
    fieldCount += 1
    guard fieldCount > limits.fieldCount else { return 0 }
    refusal = HTTPParseError(.tooManyFields, "more than \(limits.fieldCount) fields")
    return -1
  }

  fileprivate mutating func countTarget(_ count: Int) -> Int32 {
    targetBytes += count
    guard targetBytes > limits.targetBytes else { return 0 }
    refusal = HTTPParseError(.targetTooLong, "request target longer than \(limits.targetBytes) bytes")
    return -1
  }
}

// MARK: llhttp's callbacks

/// llhttp's callbacks: written once here, and only read afterwards, by any thread.
nonisolated(unsafe) let messageCallbacks: UnsafeMutablePointer<llhttp_settings_t> = {
  let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
  unsafe llhttp_settings_init(settings)
  unsafe settings.pointee.on_url = { parser, _, count in unsafe state(parser)?.pointee.countTarget(count) ?? -1 }
  // FieldScanner finds names and values once the head is complete: two more callbacks for each field would cost more.
  unsafe settings.pointee.on_header_value_complete = { unsafe state($0)?.pointee.countField() ?? -1 }
  // llhttp stops behind the head.
  unsafe settings.pointee.on_headers_complete = { _ in Int32(HPE_PAUSED.rawValue) }
  return unsafe settings
}()

private func state(_ parser: UnsafeMutablePointer<llhttp_t>?) -> UnsafeMutablePointer<ParserState>? {
  unsafe parser?.pointee.data.assumingMemoryBound(to: ParserState.self)
}
