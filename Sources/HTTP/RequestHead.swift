// A request's head, judged strictly and written anew for upstream.
// It must not know where it goes.

/// What a request head and those that are like it were judged to say.
final class RequestTemplate: HeadTemplate {
  let method: Method
  let isVersion11: Bool
  let expectsContinue: Bool
  let connection: ConnectionOptions
  let target: RequestTarget

  init(
    _ method: Method, _ target: RequestTarget, isVersion11: Bool, _ fields: Fields, _ framing: BodyFraming
  ) throws(HTTPParseError) {
    self.method = method
    self.target = target
    self.isVersion11 = isVersion11
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
  package var template: HeadTemplate { judged }
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
  package var connection: ConnectionOptions { judged.connection }
  package var target: RequestTarget { judged.target }

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

  /// A head whose fields say one thing only.
  /// - Parameters:
  ///   - target: where the target stands in the bytes of `fields`.
  /// - Throws: `HTTPParseError` where they are ambiguous or ask for what is not served.
  package init(
    _ method: Method, _ target: RequestTarget, isVersion11: Bool, _ fields: Fields, framing: BodyFraming
  ) throws(HTTPParseError) {
    judged = try RequestTemplate(method, target, isVersion11: isVersion11, fields, framing)
    self.framing = framing
    self.fields = fields
  }

  /// A head that differs from `other` in values that mean nothing here, and in its length; nil where that is none.
  package init?(like other: RequestHead, _ fields: Fields) {
    guard let framing = other.framing.like(fields, other.judged) else { return nil }
    self.framing = framing
    self.fields = fields
    judged = other.judged
  }
}

/// A request target in the form in which it is passed on: origin or asterisk form.
package struct RequestTarget: Sendable {
  /// What an absolute form leaves out: the root's `/`, or `*`.
  package var implied: UInt8?
  /// What is passed on of the head's own bytes.
  package var written: Range<Int>
  /// The authority of an absolute form, which takes Host's place (RFC 9112 §3.2.2).
  package var authority: Range<Int>?

  package init(implied: UInt8? = nil, written: Range<Int>, authority: Range<Int>? = nil) {
    self.implied = implied
    self.written = written
    self.authority = authority
  }
}
