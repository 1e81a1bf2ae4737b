// What the admin listener answers, as bytes for a socket.
// It must not know what any page is about.
import HTTP

/// One answer.
public struct AdminPage: Sendable {
  /// The status; those that the server itself has use for have a phrase.
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
  ///   - headOnly: leave the body out: an answer to HEAD.
  ///   - closes: whether the connection ends behind it.
  ///   - keepsAlive10: tell a client of HTTP/1.0 that it does not.
  func bytes(headOnly: Bool, closes: Bool, keepsAlive10: Bool = false) -> [UInt8] {
    var head = "HTTP/1.1 \(status) \(ReasonPhrase.standard(for: status) ?? "Error")\r\n"
    head += "Content-Type: \(contentType)\r\nContent-Length: \(body.utf8.count)\r\n"
    // What is shown is true now, and for nobody's cache.
    head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    if status == 405 { head += "Allow: GET, HEAD\r\n" }
    if closes { head += "Connection: close\r\n" } else if keepsAlive10 { head += "Connection: keep-alive\r\n" }
    return Array((head + "\r\n" + (headOnly ? "" : body)).utf8)
  }
}
