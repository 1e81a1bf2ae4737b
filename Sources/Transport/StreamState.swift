// How far a socket's stream has come, and what its socket has to be watched for: decided without a socket.

/// The state of one stream over a socket. It decides what to watch for; the stream acts.
struct StreamState: Hashable {
  /// How far the connection has come.
  enum Phase: Sendable {
    /// The peer has not accepted yet; writes wait.
    case connecting
    /// Both sides may send.
    case open
    /// The peer has ended its side.
    case ended
    /// The failure has been reported: nothing follows.
    case failed
  }

  /// What the delegate wants to know of the peer's side.
  enum Reading: Sendable {
    /// Nothing.
    case paused
    /// That the peer has ended its side, but no bytes.
    case pausedDetectingClose
    /// Everything.
    case active
  }

  var phase: Phase
  var reading = Reading.paused
  /// Whether a reset is reported even where nothing else is waited for.
  var detectsReset = false
  /// An error that is reported once the bytes that came before it have been read.
  var pendingError: TransportError?

  /// What the socket is to be watched for.
  /// - Parameter hasQueued: whether bytes wait to be sent.
  func interest(hasQueued: Bool) -> PollEvents {
    var wanted: PollEvents = []
    if phase == .connecting || hasQueued, phase != .failed, pendingError == nil { wanted.insert(.writable) }
    if phase == .open {
      switch reading {
      case .active: wanted.insert(.readable)
      case .pausedDetectingClose: wanted.insert(.disconnect)
      case .paused: break
      }
    }
    // A socket that is watched for nothing reports no reset either. Nobody sends urgent data, so this only does that.
    if wanted.isEmpty, detectsReset, phase != .failed { wanted = .urgent }
    return wanted
  }
}
