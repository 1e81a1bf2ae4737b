// What follows from a response's head and the settings in force, found again with the next head that is like it.
import HTTP
import HTTP1
import TokenWire

/// What a response's head leads to.
final class ResponseMetadata {
  let body: AnnouncedBody
  /// The head as clients get it, by what they speak and whether their connection closes.
  private let serialized = UniqueBox(InlineArray<4, SerializedHead?> { _ in nil })
  private var isRepeated = false
  private let configuration: ConfigurationSnapshot

  private init(_ head: ResponseHead, _ configuration: ConfigurationSnapshot) {
    self.configuration = configuration
    body = AnnouncedBody(
      status: head.status, contentType: head.first("content-type"), contentEncoding: head.first("content-encoding"))
  }

  /// Those of `head`, or of one that is like it.
  static func of(_ head: ResponseHead, _ configuration: ConfigurationSnapshot) -> ResponseMetadata {
    if let kept = head.metadata as? ResponseMetadata, kept.configuration === configuration {
      kept.isRepeated = true
      return kept
    }
    let metadata = ResponseMetadata(head, configuration)
    head.metadata = metadata
    return metadata
  }

  /// Writes `head` as a client gets it.
  func write(_ head: ResponseHead, client11: Bool, closing: Bool, to output: OutputBuffer) {
    guard isRepeated else {
      return head.write(to: output, client11: client11, closing: closing, policy: configuration.settings.forwarding)
    }
    let place = (client11 ? 1 : 0) + (closing ? 2 : 0)
    if serialized.value[place] == nil {
      serialized.value[place] = head.serialized(
        client11: client11, closing: closing, policy: configuration.settings.forwarding)
    }
    switch serialized.value[place] {
    case .some(let serialized): head.write(serialized, to: output)
    case .none: break
    }
  }
}
