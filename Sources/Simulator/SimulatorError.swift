// What is wrong with a setting or a request of the simulator, said so that a person can mend it.
// It must not quote a request's body.

/// A setting that cannot be used.
public struct SimulatorError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One line.
  public var description: String

  init(_ description: String) { self.description = description }
}
