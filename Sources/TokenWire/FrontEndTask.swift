// Calls that a chat front end makes for itself, told by how their prompts begin. Nothing of a prompt is kept.
import JSON

/// Open WebUI's own calls, by its words for them (open-webui, `TASKS` in constants.py).
enum FrontEndTask: String, CaseIterable {
  case title = "title_generation"
  case tags = "tags_generation"
  case followUps = "follow_up_generation"
  case emoji = "emoji_generation"
  case queries = "query_generation"
  case image = "image_prompt_generation"
  case autocompletion = "autocomplete_generation"

  /// How all of its default prompts begin.
  private static let opening = Array("### Task:\n".utf8)
  /// Bytes behind the opening in which a task's words stand.
  private static let lengthLooked = 160

  /// The task of the one message of a request; nil where it is anybody's own.
  init?(_ message: JSONValue) {
    let task = unsafe message["content"]?.withUTF8 { text -> FrontEndTask? in
      guard unsafe text.starts(with: Self.opening) else { return nil }
      let words = unsafe Array(text.dropFirst(Self.opening.count).prefix(Self.lengthLooked))
      return Self.allCases.first { task in task.words.allSatisfy { words.firstRange(of: Array($0.utf8)) != nil } }
    }
    guard let task = task ?? nil else { return nil }
    self = task
  }

  /// Words of its default prompt that stand near the beginning, all of them.
  private var words: [String] {
    switch self {
    case .title: ["Generate a concise", " title "]
    case .tags: ["Generate 1-3 broad tags"]
    case .followUps: ["follow-up questions", "Suggest"]
    case .emoji: ["emoji", "suitable"]
    case .queries: ["determine the necessity of generating search queries"]
    case .image: ["Generate a detailed prompt", "image generation"]
    case .autocompletion: ["You are an autocompletion system"]
    }
  }
}
