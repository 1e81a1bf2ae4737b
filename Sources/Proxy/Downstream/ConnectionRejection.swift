// Why a client is not served before it has asked for anything.
// It must not know how it is told.

/// A client for whom there is no room: it is answered as soon as it has sent something, and closed.
struct ConnectionRejection {
  let status: Int
  /// One of our own sentences.
  let reason: String
  /// What is counted.
  let limit: Limit

  /// Its own connections are too many.
  static let tooManyOfOneClient = ConnectionRejection(
    status: 429, reason: "too many connections from this address", limit: .clientConnections)
  /// All clients' connections are: another descriptor would be one that somebody needs.
  static let noDescriptor = ConnectionRejection(status: 503, reason: "too many connections", limit: .descriptors)
}
