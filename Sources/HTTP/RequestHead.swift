// A request's head: what it asks for, once validated.

/// The head of a request that has exactly one meaning.
///
/// A class, because it is passed on and never changed: copying a structure would retain each of its arrays. Confined to one
/// thread.
public final class RequestHead {
  /// The head as it was received.
  public let fields: Fields
  /// How the body is delimited.
  public let framing: BodyFraming
  /// The method.
  public let method: Method
  /// Whether the client speaks HTTP/1.1 or later (otherwise 1.0).
  public let isVersion11: Bool
  /// Whether the client waits for `100 (Continue)` before it sends its body.
  public let expectsContinue: Bool
  /// The options of the Connection fields.
  package let connection: ConnectionOptions
  /// The target, by where it is in the bytes of `fields`.
  package let target: RequestTarget

  /// Validates what a parser has read.
  /// - Throws: `HTTPParseError` where the fields have no single meaning, or ask for what is not served.
  package init(
    _ method: Method, _ target: RequestTarget, isVersion11: Bool, _ fields: Fields, framing: BodyFraming
  ) throws(HTTPParseError) {
    guard fields.valuesAreClean() else { throw HTTPParseError(.malformedField, "control byte in a field value") }
    guard !fields.resemblesFraming() else {
      throw HTTPParseError(.ambiguousFraming, "a field that some servers take for Content-Length or Transfer-Encoding")
    }
    try Self.validateHost(fields, isVersion11: isVersion11)
    connection = try ConnectionOptions(fields)
    expectsContinue = try Self.expectsContinue(fields, isVersion11: isVersion11, framing: framing)
    self.method = method
    self.target = target
    self.isVersion11 = isVersion11
    self.framing = framing
    self.fields = fields
  }

  /// A head that differs from `other` only in values that nothing here depends on, and in its length.
  public init(_ other: RequestHead, replacing fields: Fields, framing: BodyFraming) {
    self.fields = fields
    self.framing = framing
    method = other.method
    isVersion11 = other.isVersion11
    expectsContinue = other.expectsContinue
    connection = other.connection
    target = other.target
  }

  private static func validateHost(_ fields: Fields, isVersion11: Bool) throws(HTTPParseError) {
    var hosts = 0
    for field in fields.list where field.kind == .host {
      hosts += 1
      guard Authority.isValid(fields.bytes[field.value]) else {
        throw HTTPParseError(.invalidHost, "Host is not a host")
      }
    }
    guard hosts <= 1 else { throw HTTPParseError(.invalidHost, "Host given twice") }
    guard hosts == 1 || !isVersion11 else { throw HTTPParseError(.invalidHost, "Host is missing") }
  }

  private static func expectsContinue(
    _ fields: Fields, isVersion11: Bool, framing: BodyFraming
  ) throws(HTTPParseError) -> Bool {
    var expects = false
    for field in fields.list where field.kind == .expect {
      guard fields.matches(field.value, "100-continue") else {
        throw HTTPParseError(.unsupportedExpectation, "unknown expectation")
      }
      expects = true
    }
    return expects && isVersion11 && framing != .none
  }

  /// Whether the client's connection may carry another request after this one (RFC 9112 §9.3).
  public var keepsAlive: Bool { connection.isPersistent(isVersion11: isVersion11) }
  /// Whether Connection names fields that are not to be forwarded.
  public var namesHopByHopFields: Bool { !connection.names.isEmpty }
  /// The value of the first field whose name is `name`, compared without case.
  public func first(named name: String) -> String? { fields.first(named: name) }
  /// The value of the first field named `lowercase`, as text.
  public func first(_ lowercase: StaticString) -> String? { fields.first(lowercase) }
  /// The value of the field at `index`, as text.
  public func value(at index: Int) -> String { fields.text(fields.list[index].value) }
  /// The path without its query.
  public var path: String {
    if let implied = target.implied { return String(decoding: CollectionOfOne(implied), as: UTF8.self) }
    return String(
      decoding: fields.bytes[target.written].prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") },
      as: UTF8.self)
  }
}

/// A request target in the form in which it is forwarded: origin or asterisk form.
package struct RequestTarget: Sendable {
  /// What an absolute form omits: the root's `/`, or `*`.
  package var implied: UInt8?
  /// The part of the head's bytes that is forwarded.
  package var written: Range<Int>
  /// The authority of an absolute form, which replaces Host (RFC 9112 §3.2.2).
  package var authority: Range<Int>?

  package init(implied: UInt8? = nil, written: Range<Int>, authority: Range<Int>? = nil) {
    self.implied = implied
    self.written = written
    self.authority = authority
  }
}
