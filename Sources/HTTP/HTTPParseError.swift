// Why a message is refused.

/// What is wrong with a message. It carries no status: whoever answers chooses one by the kind.
public struct HTTPParseError: Error, Hashable, Sendable {
  /// What rule was broken.
  ///
  /// The raw values are stable: records and metrics may contain them. A kind may be added, but none is renamed.
  public enum Kind: String, CaseIterable, Hashable, Sendable {
    /// The request line or the status line is not one (RFC 9112 §3, §4), or bytes before it are not allowed there.
    case malformedStartLine = "malformed_start_line"
    /// What came is TLS, and not HTTP.
    case unexpectedTLS = "unexpected_tls"
    /// The request target has none of the forms that are served (RFC 9112 §3.2).
    case malformedTarget = "malformed_target"
    /// A line is not a field, or a value contains bytes that are not allowed (RFC 9112 §5, RFC 9110 §5.5).
    case malformedField = "malformed_field"
    /// Host is missing, repeated or not a host (RFC 9112 §3.2).
    case invalidHost = "invalid_host"
    /// The fields do not say in exactly one way where the body ends (RFC 9112 §6.3).
    case ambiguousFraming = "ambiguous_framing"
    /// Transfer-Encoding is something other than `chunked`.
    case unsupportedTransferCoding = "unsupported_transfer_coding"
    /// The protocol or its version is not HTTP/1.1 or HTTP/1.0.
    case unsupportedVersion = "unsupported_version"
    /// The method is not implemented.
    case unsupportedMethod = "unsupported_method"
    /// The method is known and not served: CONNECT.
    case methodNotAllowed = "method_not_allowed"
    /// Expect asks for something other than `100-continue`.
    case unsupportedExpectation = "unsupported_expectation"
    /// Via says that the request has been here before.
    case loopDetected = "loop_detected"
    /// The head is larger than `HTTPLimits.headBytes`.
    case headTooLarge = "head_too_large"
    /// The head has more fields than `HTTPLimits.fieldCount`.
    case tooManyFields = "too_many_fields"
    /// The request target is longer than `HTTPLimits.targetBytes`.
    case targetTooLong = "target_too_long"
    /// The body is larger than its receiver accepts.
    case bodyTooLarge = "body_too_large"
    /// A chunk's size line or end is not one (RFC 9112 §7.1).
    case malformedChunk = "malformed_chunk"
    /// The chunk extensions are larger than `HTTPLimits.chunkExtensionBytes`.
    case chunkExtensionsTooLarge = "chunk_extensions_too_large"
    /// The trailers are not fields, or would change the framing (RFC 9110 §6.5.1).
    case malformedTrailers = "malformed_trailers"
    /// The trailers are larger than `HTTPLimits.trailerBytes`.
    case trailersTooLarge = "trailers_too_large"
    /// More 1xx responses came than are accepted before a final one.
    case tooManyInterimResponses = "too_many_interim_responses"
    /// A 101 came that nobody had asked for (RFC 9110 §15.2.2).
    case unexpectedUpgrade = "unexpected_upgrade"
  }

  /// What rule was broken.
  public let kind: Kind
  /// One short line that says it in words; it contains no byte of the message.
  public let detail: String
  /// The word of the message that was not understood, if it may be shown to whoever sent it: a token of at most 32 bytes. Not
  /// for records: a message that was framed wrongly may begin with part of a prompt.
  public private(set) var word: String?

  /// Makes an error.
  public init(_ kind: Kind, _ detail: String) {
    self.kind = kind
    self.detail = detail
  }

  /// A method that is not known. Of a long one the beginning is named.
  package init(unknownMethod method: some Collection<UInt8>) {
    self.init(.unsupportedMethod, "method not implemented")
    guard method.prefix(Self.maxWordBytes).allSatisfy(ASCII.isToken) else { return }
    word =
      String(decoding: method.prefix(Self.maxWordBytes), as: UTF8.self)
      + (method.count > Self.maxWordBytes ? "..." : "")
  }

  private static let maxWordBytes = 32
}
