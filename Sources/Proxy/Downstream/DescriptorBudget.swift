// How the sockets that the process may open are shared out, so that a client that was accepted can also be forwarded.

/// Shares of a number of descriptors.
///
/// Idle upstream connections, connection attempts and clients that are being rejected have small shares; the rest is
/// for clients, each of which needs two descriptors: its own and that of its upstream connection.
struct DescriptorBudget: Equatable, Sendable {
  /// Clients served at once, over all workers.
  let clients: Int
  /// Idle connections that a worker may keep to each upstream.
  let idle: Int
  /// Connection attempts to each upstream that a worker may have open beside the first of each race.
  let attemptBudget: Int
  /// Clients that a worker may be rejecting at once.
  let refused: Int

  /// Shares `descriptors` out; nil is any number.
  /// - Parameter wanted: idle connections that a worker is to keep to each upstream, if they can be had.
  init(descriptors: Int?, workers: Int, upstreams: Int = 1, idle wanted: Int) {
    guard let descriptors else {
      clients = .max
      idle = wanted
      attemptBudget = 64
      refused = 64
      return
    }
    let pools = workers * upstreams
    idle = min(wanted, descriptors / 8 / pools)
    attemptBudget = min(64, descriptors / 32 / pools)
    refused = max(2, min(64, descriptors / 16 / workers))
    clients = max(2, (descriptors - (idle + attemptBudget) * pools - refused * workers) / 2)
  }
}
