// Why the service cannot start.

/// What prevents the service from starting: messages for the operator, and the exit code of the process.
public struct ServiceFailure: Error, Equatable, Sendable {
  /// At least one, each a line.
  public let messages: [String]
  /// 2 where the settings or what was handed to the process are wrong, and a restart cannot help; else 1.
  public let exitCode: Int32

  private init(_ text: String, exitCode: Int32) {
    messages = text.split(separator: "\n").map(String.init)
    self.exitCode = exitCode
  }

  /// The settings, or the sockets that were handed down, are wrong.
  init(settings text: String) { self.init(text, exitCode: 2) }

  /// The machine refused something: an address in use, a file that cannot be written.
  init(_ text: String) { self.init(text, exitCode: 1) }
}
