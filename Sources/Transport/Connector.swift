// The first of several addresses to answer: each attempt gets a head start before the next begins (RFC 8305 §5).
// It must not resolve names, nor send anything over what it connects.
import Clocks
import Glibc

/// Attempts that a loop's connectors may have open beside the first of each: what a race may cost in descriptors.
public final class AttemptBudget {
  fileprivate var left: Int

  /// An allowance of `count` attempts.
  public init(_ count: Int) { left = count }
}

/// Connects to one of several addresses, confined to its loop's thread.
///
/// Whichever connects first wins, the others are closed. One that fails is followed by the next at once.
public final class Connector: StreamDelegate {
  /// How the attempts follow each other.
  public struct HappyEyeballsOptions: Hashable, Sendable {
    /// The head start of each attempt before the next begins beside it: RFC 8305 §8 recommends 250, and at least 10.
    public var staggerMilliseconds: UInt64
    /// After how long an attempt is given up while there is another; the last one stays until somebody cancels.
    public var attemptNanoseconds: Int64?

    /// Makes a options.
    public init(staggerMilliseconds: UInt64 = 250, attemptNanoseconds: Int64? = nil) {
      self.staggerMilliseconds = staggerMilliseconds
      self.attemptNanoseconds = attemptNanoseconds
    }
  }

  private struct Attempt {
    let stream: any ByteStream
    let beganAt: Instant
    /// Whether it is one of the budget ones.
    let isSpare: Bool
  }

  private let loop: EventLoop
  private let options: HappyEyeballsOptions
  private let budget: AttemptBudget
  private var addresses: ArraySlice<SocketAddress>
  private var attempts: [Attempt] = []
  private var attemptDelay: Timer?
  private var lastError = TransportError(.resolve, code: 0)
  private var onEnd: ((Result<any ByteStream, TransportError>) -> Void)?

  /// Attempts that failed by themselves, or were given up for another.
  public private(set) var failures = 0

  /// Prepares to connect to one of `addresses`, which are tried in this order.
  public init(loop: EventLoop, addresses: [SocketAddress], options: HappyEyeballsOptions, budget: AttemptBudget) {
    self.loop = loop
    self.options = options
    self.budget = budget
    self.addresses = addresses[...]
  }

  /// Begins. `onEnd` is called once, with the stream that connected first (its delegate still to be set) or with the
  /// last failure: perhaps before this returns, never after `cancel`.
  public func start(_ onEnd: @escaping (Result<any ByteStream, TransportError>) -> Void) {
    self.onEnd = onEnd
    if addresses.count > 1 {
      let attemptDelay = Timer(loop: loop) { [self] in headStartEnded() }
      attemptDelay.start(milliseconds: options.staggerMilliseconds, repeating: options.staggerMilliseconds)
      self.attemptDelay = attemptDelay
    }
    attemptNext()
  }

  /// Closes all attempts; nobody is told. Safe to call twice.
  public func cancel() {
    onEnd = nil
    attemptDelay?.close()
    attemptDelay = nil
    for attempt in attempts { close(attempt) }
    attempts = []
  }

  /// Begins the next attempt, or the one behind it where that fails on the spot (no route, no such family).
  private func attemptNext() {
    let isSpare = !attempts.isEmpty
    guard !isSpare || budget.left > 0 else { return }
    while let address = addresses.popFirst() {
      do throws(TransportError) {
        let stream = try SocketStream.connect(loop: loop, to: address, stamped: true, delegate: self)
        attempts.append(Attempt(stream: stream, beganAt: .now(), isSpare: isSpare))
        if isSpare { budget.left -= 1 }
        return
      } catch {
        failures += 1
        lastError = error
      }
    }
    if attempts.isEmpty { end(.failure(lastError)) }
  }

  private func headStartEnded() {
    if let limit = options.attemptNanoseconds {
      let now = Instant.now()
      while let first = attempts.first, attempts.count > 1 || !addresses.isEmpty,
        now.nanoseconds(since: first.beganAt) > limit
      {
        failures += 1
        lastError = TransportError(.connect, code: -ETIMEDOUT)
        close(attempts.removeFirst())
      }
    }
    attemptNext()
  }

  private func close(_ attempt: Attempt) {
    attempt.stream.close()
    if attempt.isSpare { budget.left += 1 }
  }

  private func end(_ result: Result<any ByteStream, TransportError>) {
    guard let onEnd else { return }
    cancel()
    onEnd(result)
  }

  // MARK: What the attempts tell

  /// An attempt has succeeded: the race is over.
  public func streamDidConnect(_ stream: any ByteStream) {
    guard let index = attempts.firstIndex(where: { $0.stream === stream }) else { return }
    if attempts.remove(at: index).isSpare { budget.left += 1 }
    stream.delegate = nil
    end(.success(stream))
  }

  /// An attempt has failed: the next may begin at once.
  public func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    guard let index = attempts.firstIndex(where: { $0.stream === stream }) else { return }
    failures += 1
    lastError = error
    close(attempts.remove(at: index))
    attemptNext()
  }

  /// Never: attempts neither read nor write.
  public func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {}
  /// Never: attempts neither read nor write.
  public func streamDidEnd(_ stream: any ByteStream) {}
  /// Never: attempts neither read nor write.
  public func streamDidFlush(_ stream: any ByteStream) {}
}

extension SocketAddress {
  /// Whether both are IPv4, or both IPv6.
  public func isOfFamily(of other: SocketAddress) -> Bool { family == other.family }
}

extension [SocketAddress] {
  /// The same addresses, the families taking turns and each keeping its order (RFC 8305 §4), so that one family that
  /// leads nowhere costs one head start. The first address's family begins, or the one that `preferred` is of.
  public func interleaved(preferring preferred: SocketAddress? = nil) -> [SocketAddress] {
    guard let first else { return self }
    let leading = preferred?.family ?? first.family
    let lead = filter { $0.family == leading }
    let others = filter { $0.family != leading }
    var mixed: [SocketAddress] = []
    for index in 0..<Swift.max(lead.count, others.count) {
      if index < lead.count { mixed.append(lead[index]) }
      if index < others.count { mixed.append(others[index]) }
    }
    return mixed
  }
}
