// The proxy's own answers, for requests that it refuses and servers that it cannot reach.
// It must not quote anything of the request.
import HTTP
import HTTP1

/// An error response of the proxy itself, in the shape that OpenAI's clients know how to show.
enum LocalReply {
  /// The whole response; it always closes the connection.
  /// - Parameters:
  ///   - reason: one of the proxy's own fixed sentences, or an error's name: never bytes of the traffic.
  ///   - retryAfter: seconds that the client is told to wait, where trying again may help (RFC 9110 §10.2.3).
  static func bytes(status: Int, reason: String, answersHead: Bool, retryAfter: Int64? = nil) -> [UInt8] {
    let message = reason.map { $0 == "\"" || $0 == "\\" ? "'" : String($0) }.joined()
    let body = #"{"error":{"message":"tachograph: \#(message)","type":"proxy_error","code":\#(status)}}"# + "\n"
    // RFC 9110 §15.5.6.
    let allow = status == 405 ? "Allow: \(Method.allCases.map(\.rawValue).joined(separator: ", "))\r\n" : ""
    let retry = retryAfter.map { "Retry-After: \($0)\r\n" } ?? ""
    let head =
      "HTTP/1.1 \(status) \(ReasonPhrase.standard(for: status) ?? "Error")\r\n\(allow)\(retry)Content-Type: application/json\r\n"
      + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
    return Array((answersHead ? head : head + body).utf8)
  }
}
