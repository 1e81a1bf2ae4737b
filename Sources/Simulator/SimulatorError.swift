// What is wrong with a setting or a request of the simulator, in words that say how to correct it.
// It must not contain bytes of a request's body.

/// A setting that cannot be used.
public struct SimulatorError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One line.
  public var description: String

  init(_ description: String) { self.description = description }
}
