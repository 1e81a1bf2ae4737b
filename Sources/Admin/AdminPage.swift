// The admin listener's responses, as HTTP/1 bytes.
import HTTP

/// One page, as a response.
public struct AdminPage: Sendable {
  /// The status.
  public var status: Int
  /// The media type.
  public var contentType: String
  /// The body.
  public var body: String

  /// Makes a page; plain text unless said.
  public init(status: Int = 200, contentType: String = "text/plain; charset=utf-8", body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// The whole response.
  /// - Parameters:
  ///   - headOnly: omit the body: the response to a HEAD.
  ///   - closes: whether the connection is closed after it.
  ///   - keepsAlive10: tell an HTTP/1.0 client that the connection is kept.
  func bytes(headOnly: Bool, closes: Bool, keepsAlive10: Bool = false) -> [UInt8] {
    var head = "HTTP/1.1 \(status) \(ReasonPhrase.standard(for: status) ?? "Error")\r\n"
    head += "Content-Type: \(contentType)\r\nContent-Length: \(body.utf8.count)\r\n"
    // A page is true now only: no cache may keep it.
    head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    if status == 405 { head += "Allow: GET, HEAD\r\n" }
    if closes { head += "Connection: close\r\n" } else if keepsAlive10 { head += "Connection: keep-alive\r\n" }
    return Array((head + "\r\n" + (headOnly ? "" : body)).utf8)
  }
}
