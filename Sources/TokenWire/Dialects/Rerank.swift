// Reranking, as Jina, Cohere, vLLM and others write it (Documentation.docc/Dialects.md, "Embeddings, rerank, audio").
import JSON

/// `POST …/rerank`: one body, whose prompt is counted.
struct Rerank: Dialect {
  static let name = "rerank"
  static var operation: String { "rerank" }
  static var provider: String { "cohere" }
  static var framing: Framing { .serverSentEvents }

  init() {}

  static func matches(method: String, path: String) -> Bool {
    method == "POST" && Dialects.path(path, endsIn: "/rerank")
  }

  mutating func readEvent(name: RawSpan, _ payload: JSONValue, into observation: inout Observation) {
    readBody(payload, into: &observation)
  }

  mutating func readBody(_ body: JSONValue, into observation: inout Observation) {
    PromptUsage.read(body, into: &observation)
  }
}
