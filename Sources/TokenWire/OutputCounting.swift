// Counting generated text into an observation; what the dialects share whatever their shape.
// It must not know any dialect's keys.
import JSON

extension ChoiceOutput {
  /// Counts a string of generated text, where it is one and not empty.
  mutating func add(_ text: JSONValue?, as kind: OutputKinds, _ observation: inout Observation) {
    guard let text, let scalars = text.scalarCount, scalars > 0 else { return }
    self.scalars += scalars
    kinds.formUnion(kind)
    observation.textStrings += 1
    observation.textOffset = text.stringOffset ?? 0
  }

  /// Counts generated output that is not a string (arguments written as an object): its compact JSON.
  mutating func add(compact value: JSONValue?, as kind: OutputKinds, _ observation: inout Observation) {
    guard let value, !value.isNull else { return }
    if value.isString { return add(value, as: kind, &observation) }
    scalars += value.compactScalarCount ?? 0
    kinds.formUnion(kind)
    // Two strings in one event: never known by heart.
    observation.textStrings += 2
  }
}

extension JSONValue {
  /// An error's type or code where it is one short word that can quote nobody's prompt.
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

  /// A count (of tokens, of nanoseconds): a whole number that is not negative, and small enough that sums of such
  /// numbers cannot overflow.
  var tokenCount: Int? { int.flatMap { 0...(1 << 53) ~= $0 ? $0 : nil } }

  /// What kind of error this outermost object reports, if it reports one; never its message.
  ///
  /// `{"error":{"type","code"}}` (OpenAI and most), `{"error":"…","error_type":"…"}` (TGI), `{"error":"…"}` (Ollama),
  /// `{"object":"error","type","code"}` (older vLLM, LMDeploy).
  var errorKind: String? {
    if let error = present("error") {
      if error.bool == false { return nil }
      return error["type"]?.errorWord ?? error["code"]?.errorWord ?? error["http_status_code"]?.errorWord
        ?? self["error_type"]?.errorWord ?? "error"
    }
    guard self["object"]?.equals("error") == true else { return nil }
    return self["type"]?.errorWord ?? self["code"]?.errorWord ?? "error"
  }
}
