// Why a client is not served before it has asked for anything.
import Measurement

/// A client for whom there is no room: it gets a reply as soon as it has sent something, and its connection is closed.
struct ConnectionRejection {
  let failure: ExchangeFailure
  /// What is counted.
  let limit: Limit

  /// The connections of its own address are too many.
  static let tooManyOfOneClient = ConnectionRejection(
    failure: ExchangeFailure(.tooManyClientConnections, "too many connections from this address"),
    limit: .clientConnections)
  /// The connections of all clients are: the next descriptor is one that somebody else needs.
  static let noDescriptor = ConnectionRejection(
    failure: ExchangeFailure(.tooManyConnections, "too many connections"), limit: .descriptors)
}
