// The kind of an error that a server reports inside a body or a stream.
import JSON

/// The members of an outermost object that say what kind of error it reports; never its message, which may quote the prompt.
///
/// `{"error":{"type","code"}}` (OpenAI and most), `{"error":"…","error_type":"…"}` (TGI), `{"error":"…"}` (Ollama),
/// `{"object":"error","type","code"}` (older vLLM, LMDeploy).
struct ErrorReport {
  var error: JSONValue?
  var errorType: JSONValue?
  var object: JSONValue?
  var type: JSONValue?
  var code: JSONValue?

  private enum Key: String, JSONKey {
    case type, code
    case status = "http_status_code"
    static let table = JSONKeys<Key>()
  }

  /// The first short word among type and code, `error` where there is none; nil where no error is reported.
  @inline(__always)
  var kind: String? {
    if let error, !error.isNull { return Self.kind(of: error, errorType) }
    guard object?.equals("error") == true else { return nil }
    return type?.errorWord ?? code?.errorWord ?? "error"
  }

  private static func kind(of error: JSONValue, _ errorType: JSONValue?) -> String? {
    if error.bool == false { return nil }
    let members = JSONObject<Key>(error)
    return members[.type]?.errorWord ?? members[.code]?.errorWord ?? members[.status]?.errorWord
      ?? errorType?.errorWord ?? "error"
  }
}

extension JSONValue {
  /// An error's type or code where it is one short word, which can quote nobody's prompt.
  fileprivate var errorWord: String? {
    if let code = int { return String(code) }
    let isWord: Bool? = unsafe withUTF8 { utf8 in
      guard !utf8.isEmpty, utf8.count <= 64 else { return false }
      return unsafe utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
          true
        default: false
        }
      }
    }
    return isWord == true ? string : nil
  }
}
