// The kind of an error that a server reports inside a body or a stream.
import JSON

/// The members of an outermost object that say what kind of error it reports; never its message, which may quote the prompt.
///
/// `{"error":{"type","code"}}` (OpenAI and most), `{"error":"…","error_type":"…"}` (TGI), `{"error":"…"}` (Ollama),
/// `{"object":"error","type","code"}` (older vLLM, LMDeploy), `{"type":"error",…}`, `{"text":"…","error_code":50001}`
/// (FastChat), `{"base_resp":{"status_code":1002}}` (MiniMax).
struct ErrorReport {
  var error: JSONValue?
  var errorType: JSONValue?
  var object: JSONValue?
  var type: JSONValue?
  var code: JSONValue?
  var errorCode: JSONValue?
  var baseResponse: JSONValue?

  private enum Key: String, JSONKey {
    case type, code
    case status = "http_status_code"
    case statusWord = "status"
    static let table = JSONKeys<Key>()
  }

  /// The first short word among type and code, `error` where there is none; nil where no error is reported.
  @inline(__always)
  var kind: String? {
    if let error, let kind = Self.kind(of: error, errorType) { return kind }
    if object?.equals("error") == true { return type?.errorWord ?? code?.errorWord ?? "error" }
    if errorCode != nil || baseResponse != nil { return kindOfNumber }
    return nil
  }

  private var kindOfNumber: String? {
    for number in [errorCode, baseResponse?["status_code"]] {
      if let number = number?.int, number != 0 { return String(number) }
    }
    return nil
  }

  /// The kind of what stands as an `error`; nil where it is an empty one (`{}`, `""`, null, false).
  static func kind(of error: JSONValue, _ errorType: JSONValue? = nil) -> String? {
    if error.isNull || error.bool == false || error.int == 0 || error.count == 0 { return nil }
    if error.isString, !error.hasText { return nil }
    let members = JSONObject<Key>(error)
    return members[.type]?.errorWord ?? members[.code]?.errorWord ?? members[.status]?.errorWord
      ?? members[.statusWord]?.errorWord ?? errorType?.errorWord ?? "error"
  }

  /// The kind of an event that says by its name that it is an error, whatever is in it.
  static func kind(ofErrorEvent root: JSONValue) -> String {
    if let error = root["error"], let kind = kind(of: error, root["error_type"]) { return kind }
    let members = JSONObject<Key>(root)
    return members[.type].flatMap { $0.equals("error") ? nil : $0.errorWord } ?? members[.code]?.errorWord ?? "error"
  }
}

extension JSONValue {
  /// An error's type or code where it is one short word, which can quote nobody's prompt.
  var errorWord: String? {
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
