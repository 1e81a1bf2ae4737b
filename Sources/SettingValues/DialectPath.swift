// Paths of a server's own, and the dialects that are spoken there.

/// A path's ending, and the dialect of the requests to it.
public struct DialectPath: Hashable, Sendable {
  /// What the path ends in, from a slash on.
  public var ending: String
  /// What is spoken there.
  public var dialect: DialectName

  /// Makes the rule of one ending.
  public init(ending: String, dialect: DialectName) {
    self.ending = ending
    self.dialect = dialect
  }
}

/// The dialects by their names in records.
public enum DialectName: String, CaseIterable, Hashable, Sendable {
  case openAIChat = "openai.chat"
  case openAICompletions = "openai.completions"
  case openAIResponses = "openai.responses"
  case anthropicMessages = "anthropic.messages"
  case ollamaChat = "ollama.chat"
  case ollamaGenerate = "ollama.generate"
  case llamaCompletion = "llamacpp.completion"
  case sglangGenerate = "sglang.generate"
  case tgiGenerate = "tgi.generate"
  case vllmGenerate = "vllm.generate"
  case geminiGenerate = "gemini.generate"
  case tritonGenerate = "triton.generate"
  case cohereChat = "cohere.chat"
  case embeddings
  case rerank
  case openAISpeech = "openai.speech"
  case openAITranscription = "openai.transcription"
}
