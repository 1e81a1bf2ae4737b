// How many connections each client has, over all workers.
import Synchronization

/// Connections by the client's address, where they are bounded (`limits.connections_per_client`). From any thread.
final class PerClientConnectionCounter: Sendable {
  private let connections = Mutex<[String: Int]>([:])

  /// Counts one more, unless there are `limit` already.
  /// - Returns: whether it was counted; then `release` is to be called for it.
  func acquire(_ address: String, limit: Int) -> Bool {
    connections.withLock { connections in
      let count = connections[address, default: 0]
      guard count < limit else { return false }
      connections[address] = count + 1
      return true
    }
  }

  /// Counts one less.
  func release(_ address: String) {
    connections.withLock { connections in
      guard let count = connections[address] else { return }
      connections[address] = count > 1 ? count - 1 : nil
    }
  }
}
