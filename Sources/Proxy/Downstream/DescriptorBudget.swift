// How the sockets that the process may have are shared out, so that no client ever takes the one that another needs.
// It must not open, close or count any.

/// Shares of a number of descriptors: whoever is accepted can also be connected, because what it needs is set aside.
///
/// Clients get what is left when the idle pool, racing connection attempts and clients that are being told that there is
/// no room have had their small shares; each client counts twice, for itself and for its connection upstream.
struct DescriptorBudget: Equatable, Sendable {
  /// Clients served at once, over all workers.
  let clients: Int
  /// Idle upstream connections a worker may keep.
  let idle: Int
  /// Connection attempts a worker may have open beside the first of each.
  let attemptBudget: Int
  /// Clients that a worker may be refusing at once.
  let refused: Int

  /// Shares `descriptors` out; nil is as many as anybody wants.
  init(descriptors: Int?, workers: Int, idle wanted: Int) {
    guard let descriptors else {
      clients = .max
      idle = wanted
      attemptBudget = 64
      refused = 64
      return
    }
    idle = min(wanted, descriptors / 8 / workers)
    attemptBudget = min(64, descriptors / 32 / workers)
    refused = max(2, min(64, descriptors / 16 / workers))
    clients = max(2, (descriptors - (idle + attemptBudget + refused) * workers) / 2)
  }
}
