// What follows from a head and the settings in force, found again with the next head that is like it.
// It must not hold anything of one exchange.
import HTTPWire
import Measure
import TokenWire

/// What a request's head leads to, by its start line and the fields that `KnownMessages` holds fixed. Exchanges keep it to
/// their end, so there is no credential in it.
final class RequestNotes {
  /// Who sent it; the ids of the request itself are not among it.
  let sender: Sender
  /// Where its `x-request-id` and its `traceparent` stand, which every request has of its own.
  let requestID: Int?
  let trace: Int?
  let method: String
  let path: String
  let dialect: (any Dialect.Type)?
  /// Whether its body is not encoded, and so can be looked at.
  let bodyIsPlain: Bool
  /// Whether it says for whom it comes.
  let isForwarded: Bool

  fileprivate init(_ head: RequestHead, _ worker: Worker) {
    sender = worker.identities.value.read { head.first(named: $0) }
    requestID = head.fields.firstIndex(named: "x-request-id")
    trace = head.fields.firstIndex(named: "traceparent")
    method = head.method.rawValue
    path = head.path
    dialect = Dialects.claiming(method: method, path: path)
    bodyIsPlain = head.first("content-encoding") == nil
    isForwarded = head.first("x-forwarded-for") != nil
  }
}

/// Requests whose heads are alike: their notes, and how they are written. Only heads hold on to it, for the key that came with
/// one is in what is written.
final class RequestKind {
  let notes: RequestNotes
  /// The head as upstream gets it.
  private let image = Held<HeadImage?>(nil)
  private var isRepeated = false
  private let rules: Rules

  private init(_ head: RequestHead, _ rules: Rules, _ worker: Worker) {
    self.rules = rules
    notes = RequestNotes(head, worker)
  }

  /// That of `head`, and of those that are like it.
  static func of(_ head: RequestHead, _ rules: Rules, _ worker: Worker) -> RequestKind {
    if let kept = head.notes as? RequestKind, kept.rules === rules {
      kept.repeats(head)
      return kept
    }
    let kind = RequestKind(head, rules, worker)
    head.notes = kind
    return kind
  }

  /// `head` came again, and may come often.
  private func repeats(_ head: RequestHead) {
    guard !isRepeated else { return }
    isRepeated = true
    image.value = head.image(defaultHost: rules.upstreamAuthority, policy: rules.settings.forwarding)
  }

  /// Writes `head` as upstream gets it.
  /// - Returns: whether it did: not where it came but once, or what is written depends on the client.
  func write(_ head: RequestHead, to output: OutputBuffer) -> Bool {
    switch image.value {
    case .some(let image): head.write(image, to: output)
    case .none: return false
    }
    return true
  }
}

/// What a response's head leads to.
final class ResponseNotes {
  let body: AnnouncedBody
  /// The head as clients get it, by what they speak and whether their connection closes.
  private let images = Held(InlineArray<4, HeadImage?> { _ in nil })
  private var isRepeated = false
  private let rules: Rules

  private init(_ head: ResponseHead, _ rules: Rules) {
    self.rules = rules
    body = AnnouncedBody(
      status: head.status, contentType: head.first("content-type"), contentEncoding: head.first("content-encoding"))
  }

  /// Those of `head`, or of one that is like it.
  static func of(_ head: ResponseHead, _ rules: Rules) -> ResponseNotes {
    if let kept = head.notes as? ResponseNotes, kept.rules === rules {
      kept.isRepeated = true
      return kept
    }
    let notes = ResponseNotes(head, rules)
    head.notes = notes
    return notes
  }

  /// Writes `head` as a client gets it.
  func write(_ head: ResponseHead, client11: Bool, closing: Bool, to output: OutputBuffer) {
    guard isRepeated else {
      return head.write(to: output, client11: client11, closing: closing, policy: rules.settings.forwarding)
    }
    let place = (client11 ? 1 : 0) + (closing ? 2 : 0)
    if images.value[place] == nil {
      images.value[place] = head.image(client11: client11, closing: closing, policy: rules.settings.forwarding)
    }
    switch images.value[place] {
    case .some(let image): head.write(image, to: output)
    case .none: break
    }
  }
}

/// The heads that one worker knows under the settings in force.
final class KnownMessages {
  let requests: KnownHeads
  let responses = KnownHeads(fixed: ["content-type", "content-encoding"])

  init(_ settings: ProxySettings) {
    requests = KnownHeads(fixed: settings.identityHeaders.all + ["content-encoding"])
  }

  /// Sweeps after which a head that nobody sent again is forgotten: it may carry a credential.
  private static let sweeps = 8

  /// Forgets what is not used. Call it four times a second.
  func sweep() {
    requests.sweep(after: Self.sweeps)
    responses.sweep(after: Self.sweeps)
  }

  /// Forgets everything, for good: other settings are in force.
  func retire() {
    requests.retire()
    responses.retire()
  }
}
