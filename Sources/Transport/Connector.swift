// Connects to whichever of several addresses answers first: performs what HappyEyeballs decides.
// It must not resolve names, nor send anything over what it connects.
import Clocks

/// Connects to one of several addresses, confined to its loop's thread.
///
/// It retains itself while attempts are open, and so until it has called back or is cancelled.
public final class Connector: StreamDelegate {
  private let loop: EventLoop
  private let budget: AttemptBudget
  private let attemptDelay: Duration
  private var race: HappyEyeballs
  private var streams: [HappyEyeballs.AttemptID: any ByteStream] = [:]
  private var timer: Timer?
  private var onEnd: ((Result<any ByteStream, TransportError>) -> Void)?

  /// Attempts that failed by themselves, or were given up for another.
  public var failures: Int { race.failures }

  /// Prepares to connect to one of `addresses`.
  /// - Parameters:
  ///   - preferred: the family that is tried first; nil for the first address's.
  ///   - budget: what attempts beside the first are taken from, until they end.
  public init(
    loop: EventLoop, addresses: [SocketAddress], preferring preferred: SocketAddress.Family? = nil,
    options: HappyEyeballs.Options, budget: AttemptBudget
  ) {
    self.loop = loop
    self.budget = budget
    attemptDelay = options.attemptDelay
    race = HappyEyeballs(addresses, preferring: preferred, options: options)
  }

  /// Begins. `onEnd` is called once, with the stream that connected first (its delegate still to be set) or with the
  /// last failure: perhaps before this returns, never after `cancel`.
  public func start(_ onEnd: @escaping (Result<any ByteStream, TransportError>) -> Void) {
    self.onEnd = onEnd
    handle(.started)
  }

  /// Closes all attempts; `onEnd` is not called any more. Safe to call twice.
  public func cancel() {
    onEnd = nil
    handle(.cancelled)
  }

  // MARK: What happens, and what is done

  private func handle(_ event: HappyEyeballs.Event) {
    let before = race.extraAttempts
    let actions = race.handle(event, at: .now(), extraLimit: before + budget.available)
    budget.adjust(from: before, to: race.extraAttempts)
    for action in actions { perform(action) }
  }

  private func perform(_ action: HappyEyeballs.Action) {
    switch action {
    case .open(let id, let address): open(id, address)
    case .close(let id): streams.removeValue(forKey: id)?.close()
    case .startTimer: startTimer()
    case .stopTimer:
      timer?.close()
      timer = nil
    case .succeed(let id):
      guard let stream = streams.removeValue(forKey: id) else { return }
      stream.delegate = nil
      end(.success(stream))
    case .fail(let error): end(.failure(error))
    }
  }

  private func open(_ id: HappyEyeballs.AttemptID, _ address: SocketAddress) {
    do throws(TransportError) {
      streams[id] = try SocketStream.connect(loop: loop, to: address, stamped: true, delegate: self)
    } catch {
      // No route, no such family: the next one begins on the spot.
      handle(.failed(id, error))
    }
  }

  private func startTimer() {
    let timer = timer ?? Timer(loop: loop) { [self] in handle(.delayElapsed) }
    self.timer = timer
    let milliseconds = UInt64(max(1, attemptDelay / .milliseconds(1)))
    timer.start(milliseconds: milliseconds, repeating: milliseconds)
  }

  private func end(_ result: Result<any ByteStream, TransportError>) {
    let onEnd = onEnd
    self.onEnd = nil
    onEnd?(result)
  }

  private func id(of stream: any ByteStream) -> HappyEyeballs.AttemptID? { streams.first { $0.value === stream }?.key }

  // MARK: What the attempts report

  /// An attempt has connected.
  public func streamDidConnect(_ stream: any ByteStream) {
    if let id = id(of: stream) { handle(.connected(id)) }
  }

  /// An attempt has failed.
  public func streamDidFail(_ stream: any ByteStream, _ error: TransportError) {
    guard let id = id(of: stream) else { return }
    streams.removeValue(forKey: id)?.close()
    handle(.failed(id, error))
  }

  /// Never: attempts neither read nor write.
  public func streamDidRead(_ stream: any ByteStream, _ bytes: RawSpan, _ arrival: Arrival) {}
  /// Never: attempts neither read nor write.
  public func streamDidEnd(_ stream: any ByteStream) {}
  /// Never: attempts neither read nor write.
  public func streamDidFlush(_ stream: any ByteStream) {}
}
