// What a request's body says that measuring needs: a few keys, never the prompt.

/// The facts that a dialect finds in a request body; nil where the body does not say.
public struct RequestFacts: Hashable, Sendable {
  /// `model` as asked.
  public var model: String?
  /// The user named in the body.
  public var user: String?
  /// The key that named the user, as `user_from` writes it: `body:user`, `body:metadata.user_id`, …
  public var userKey: String?
  /// What further keys name, by the key as `userKey` has it; `prompt_cache_key` is always among these, as it may name anything.
  public var moreUsers: [String: String] = [:]
  /// The front end's own call that the prompt's first words are known for. The prompt itself is not kept.
  public var task: String?
  /// The conversation or session named in the body.
  public var session: String?
  /// Whether a stream was asked for; the dialect's default where the body leaves it out.
  public var stream: Bool?
  /// Choices asked for (`n`, times the prompts of a batch), at least 1.
  public var choices: Int?
  /// Whether the prompt was asked to be echoed (legacy completions): the first event then carries prompt text too, so
  /// that characters and the first instant do not speak of generated text alone.
  public var echo: Bool?

  /// Makes facts of which none is known.
  public init() {}

  /// The user that a certain key names, such as `body:user`.
  public func user(namedBy key: String) -> String? {
    (userKey ?? "body:user") == key && user != nil ? user : moreUsers[key]
  }
}
