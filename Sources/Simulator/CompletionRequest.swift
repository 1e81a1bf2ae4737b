// What a request body asks a model for: the few keys that change a reply's shape.
import JSON

/// The dialects that the simulator serves.
enum Dialect: Hashable, Sendable {
  case openAIChat
  case openAICompletions
  case ollamaChat
  case ollamaGenerate

  init?(path: String) {
    switch path {
    case "/v1/chat/completions": self = .openAIChat
    case "/v1/completions": self = .openAICompletions
    case "/api/chat": self = .ollamaChat
    case "/api/generate": self = .ollamaGenerate
    default: return nil
    }
  }

  var isOllama: Bool { self == .ollamaChat || self == .ollamaGenerate }
}

/// What one request asks for.
struct CompletionRequest: Sendable {
  var dialect: Dialect
  var model = "simulated"
  var isStreamed: Bool
  var choices = 1
  var tokenLimit: Int?
  var includesUsage = false
  /// A quarter of the body's bytes: about as many tokens as English has.
  var promptTokens: Int

  /// Reads a body.
  /// - Throws: `SimulatorError` where it is not a JSON object or asks for something impossible.
  init(_ dialect: Dialect, body: [UInt8], parser: JSONParser) throws(SimulatorError) {
    self.dialect = dialect
    isStreamed = dialect.isOllama
    promptTokens = max(1, body.count / 4)
    var request = self
    let isObject = unsafe parser.parse(body.span.bytes) { root in
      if root.isObject { request.read(root) }
      return root.isObject
    }
    guard isObject == true else { throw SimulatorError("the body is no JSON object") }
    guard (1...128).contains(request.choices) else { throw SimulatorError("n must be 1 to 128") }
    guard request.tokenLimit ?? 1 >= 1 else { throw SimulatorError("max_tokens must be at least 1") }
    self = request
  }

  private mutating func read(_ root: JSONValue) {
    if let model = root["model"]?.string { self.model = model }
    if let stream = root["stream"]?.bool { isStreamed = stream }
    if dialect.isOllama {
      // Ollama: a negative num_predict means "no limit".
      if let limit = root["options"]?["num_predict"]?.int, limit > 0 { tokenLimit = limit }
      return
    }
    choices = root["n"]?.int ?? 1
    tokenLimit = root["max_completion_tokens"]?.int ?? root["max_tokens"]?.int
    includesUsage = root["stream_options"]?["include_usage"]?.bool ?? false
  }
}
