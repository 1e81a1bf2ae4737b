// Counting generated text into an observation: what the dialects share whatever their shape.
import JSON

extension ChoiceOutput {
  /// Counts a string of generated text, where it is one and not empty. One of half a character is output too, although it
  /// may have no scalar.
  @inline(__always)
  mutating func add(_ text: JSONValue?, as kind: OutputKinds) {
    guard let text, text.hasText, let scalars = text.scalarCount else { return }
    self.scalars += scalars
    kinds.formUnion(kind)
  }

  /// Counts generated text however it is wrapped: a string, a list of such, or an object that has it under a name of text.
  @inline(__always)
  mutating func add(wrapped value: JSONValue?, as kind: OutputKinds) {
    guard let value else { return }
    if value.isString { return add(value, as: kind) }
    if value.isArray || value.isObject { addInside(value, as: kind, depth: 0) }
  }

  private mutating func addInside(_ value: JSONValue, as kind: OutputKinds, depth: Int) {
    if value.isString { return add(value, as: kind) }
    // A wrapping that is deeper holds no text that anybody shows.
    guard depth < 4 else { return }
    if value.isArray { return value.forEachElement { addInside($0, as: kind, depth: depth + 1) } }
    guard value.isObject else { return }
    let members = JSONObject<TextKey>(value)
    for key in TextKey.allCases {
      if let member = members[key] { addInside(member, as: kind, depth: depth + 1) }
    }
  }

  /// Counts a list of the parts of a message, each of which says its own kind.
  mutating func add(parts: JSONValue) {
    parts.forEachElement { value in
      if value.isString { return add(value, as: .answer) }
      let part = JSONObject<PartKey>(value)
      let isReasoning = part[.type]?.isReasoningType == true
      add(wrapped: part[.text], as: isReasoning ? .reasoning : .answer)
      add(wrapped: part[.content], as: isReasoning ? .reasoning : .answer)
      add(part[.refusal], as: .answer)
      add(wrapped: part[.thinking], as: .reasoning)
      add(wrapped: part[.reasoning], as: .reasoning)
      add(wrapped: part[.summary], as: .reasoning)
      // A picture or a sound is output without characters.
      if part.present(.image) != nil || part.present(.audio) != nil { kinds.formUnion(.answer) }
    }
  }

  /// Counts the name of a tool call, with which a call begins.
  mutating func add(toolName name: JSONValue?) {
    guard let name, name.hasText else { return }
    add(name, as: .toolCall)
    toolCalls += 1
  }

  /// Counts generated output that need not be a string (arguments written as an object): its compact JSON.
  mutating func add(compact value: JSONValue?, as kind: OutputKinds) {
    guard let value, !value.isNull else { return }
    if value.isString { return add(value, as: kind) }
    scalars += value.compactScalarCount ?? 0
    kinds.formUnion(kind)
  }
}

/// The names under which text stands inside a wrapping.
private enum TextKey: String, JSONKey {
  case text, thinking, reasoning, summary, content
  case reasoningText = "reasoning_text"
  case reasoningContent = "reasoning_content"
  case camelText = "reasoningText"
  case camelContent = "reasoningContent"
  static let table = JSONKeys<TextKey>()
}

private enum PartKey: String, JSONKey {
  case type, text, content, refusal, thinking, reasoning, summary
  case image = "image_url"
  case audio = "input_audio"
  static let table = JSONKeys<PartKey>()
}

extension JSONValue {
  /// Whether a part of that type is reasoning.
  fileprivate var isReasoningType: Bool {
    equals("reasoning") || equals("thinking") || equals("reasoning_text") || equals("summary_text")
  }

  /// A string that can be a name: neither empty nor longer than any name is.
  var name: String? {
    guard let count = utf8Count, 1...longestName ~= count else { return nil }
    return string
  }

  /// A count (of tokens, of nanoseconds): a whole number that is not negative, and small enough that sums of such
  /// numbers cannot overflow. Some servers write it as a real (`5.0`).
  var tokenCount: Int? { (int ?? double.flatMap(Int.init(exactly:))).flatMap { 0...(1 << 53) ~= $0 ? $0 : nil } }

  /// The length of an array that is not empty.
  var listLength: Int? {
    guard isArray, let count, count > 0 else { return nil }
    return count
  }
}

/// The longest model, user or session name that is kept, in UTF-8 bytes: a longer one is no name.
let longestName = 512
