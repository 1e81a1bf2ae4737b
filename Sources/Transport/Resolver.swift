// Names to addresses, off the loop's thread, remembered for a while, and for longer where nobody answers any more.
// It must not connect anywhere.
import CLibuv
import CSocket
import Clocks
import Glibc

/// Resolves one host and port again and again, for a pool that keeps connecting to it.
///
/// Confined to its loop's thread; the system is asked on a thread of its own, which nobody has to wait for: glibc's
/// getaddrinfo can hang for as long as it likes, and cannot be cancelled. Literal addresses are answered without asking.
@safe
public final class Resolver {
  /// How long answers are good.
  public struct Policy: Hashable, Sendable {
    /// For how long an answer is used without asking again, in nanoseconds.
    public var fresh: Int64
    /// For how long after that it is still used while the system fails to answer, or does not answer at all.
    public var stale: Int64

    /// Makes a policy.
    public init(fresh: Int64 = 5_000_000_000, stale: Int64 = 3_600_000_000_000) {
      self.fresh = fresh
      self.stale = stale
    }
  }

  /// Asks for a host's addresses; called on a thread of its own, and may block.
  public typealias Lookup = @Sendable (_ host: String, _ port: UInt16) -> Result<[SocketAddress], TransportError>
  /// What was asked of `resolve`, so that it can be taken back.
  public typealias QueryID = UInt64
  /// What is told of the addresses, on the loop's thread.
  public typealias Body = (Result<[SocketAddress], TransportError>) -> Void

  /// How long an answer that could be served from what is known waits for the system's word.
  private static let graceMilliseconds: UInt64 = 250
  /// After a failure nobody is asked for so long: a name that does not exist costs one question a second.
  private static let failureNanoseconds: Int64 = 1_000_000_000
  /// An answer that has not come after so long is no longer waited for: the next question may be asked.
  private static let hungNanoseconds: Int64 = 10_000_000_000
  /// Threads that may be stuck in the system's resolver at once.
  private static let threads = 4

  private let loop: EventLoop
  private let host: String
  private let port: UInt16
  private let lookup: Lookup
  /// Whether the host is an address itself, which never changes.
  public let isLiteral: Bool
  private var known: (addresses: [SocketAddress], at: Instant)?
  private var failure: (error: TransportError, at: Instant)?
  private var askedAt: Instant?
  /// Whether the present question has not been answered within its grace.
  private var isOverdue = false
  private var running = 0
  private var waiting: [(query: QueryID, body: Body)] = []
  private var policy = Policy()
  private var nextTicket: QueryID = 0
  private var answers: Mailbox<Result<[SocketAddress], TransportError>>?
  private var grace: Timer?
  private var isClosed = false

  /// Called when an answer names other addresses than the one before; `isCurrent` says which are left.
  public var onChange: (() -> Void)?

  /// Makes a resolver of `host` (a name, or a literal without brackets). Close it, if it is not one of a literal.
  public init(loop: EventLoop, host: String, port: UInt16, lookup: @escaping Lookup = Resolver.askSystem) {
    self.loop = loop
    self.host = host
    self.port = port
    self.lookup = lookup
    let literal = SocketAddress(literal: host, port: port)
    isLiteral = literal != nil
    if let literal { known = ([literal], .now()) }
  }

  /// Gives the addresses: at once where they are fresh; as soon as the system has answered otherwise, or, where it does
  /// not, from what is known and not yet stale.
  /// - Returns: what to take the question back with, nil where it was answered on the spot.
  @discardableResult
  public func resolve(_ policy: Policy = Policy(), _ body: @escaping Body) -> QueryID? {
    if isLiteral, let known {
      body(.success(known.addresses))
      return nil
    }
    self.policy = policy
    let now = Instant.now()
    if let answer = answerOnTheSpot(now) {
      body(answer)
      return nil
    }
    nextTicket += 1
    waiting.append((nextTicket, body))
    ask(now)
    return nextTicket
  }

  /// Whether somebody waits for an answer.
  public var isAwaited: Bool { !waiting.isEmpty }

  /// Takes a question back: its body is not called any more.
  public func cancel(_ query: QueryID) { waiting.removeAll { $0.query == query } }

  /// Asks again where the answer is not fresh any more, for those who hold connections by it.
  public func refresh(_ policy: Policy) {
    guard !isLiteral, let known else { return }
    self.policy = policy
    let now = Instant.now()
    guard now.nanoseconds(since: known.at) >= policy.fresh, failed(now) == nil else { return }
    ask(now)
  }

  /// Whether `address` is one of those that the last answer named.
  public func isCurrent(_ address: SocketAddress) -> Bool {
    isLiteral || known?.addresses.contains(address) ?? true
  }

  /// Forgets all questions and lets the loop go. An answer that is still to come finds nobody.
  public func close() {
    isClosed = true
    waiting = []
    onChange = nil
    grace?.close()
    grace = nil
    answers?.close()
    answers = nil
  }

  // MARK: What is known

  private func answerOnTheSpot(_ now: Instant) -> Result<[SocketAddress], TransportError>? {
    if let known, now.nanoseconds(since: known.at) < policy.fresh { return .success(known.addresses) }
    if let failure = failed(now) { return usable(now).map { .success($0) } ?? .failure(failure) }
    // Whoever comes while an answer is overdue does not wait for it again.
    guard isOverdue, let addresses = usable(now) else { return nil }
    ask(now)
    return .success(addresses)
  }

  /// The last answer, unless it is too old to be used at all.
  private func usable(_ now: Instant) -> [SocketAddress]? {
    guard let known else { return nil }
    let age = now.nanoseconds(since: known.at)
    return age < policy.fresh || age - policy.fresh < policy.stale ? known.addresses : nil
  }

  /// The last failure, while it is too early to ask again.
  private func failed(_ now: Instant) -> TransportError? {
    guard let failure, now.nanoseconds(since: failure.at) < Self.failureNanoseconds else { return nil }
    return failure.error
  }

  // MARK: Asking

  /// Asks the system, unless it owes an answer already; one that is long overdue is asked again beside it.
  private func ask(_ now: Instant) {
    if let askedAt, now.nanoseconds(since: askedAt) < Self.hungNanoseconds { return }
    guard !isClosed, running < Self.threads else { return }
    do throws(TransportError) {
      let answers = try openMailbox()
      let thread = try WorkerThread(name: "resolver") { [lookup, host, port] in answers.post(lookup(host, port)) }
      thread.detach()
    } catch {
      return took(.failure(error))
    }
    running += 1
    askedAt = now
    startGrace()
  }

  private func openMailbox() throws(TransportError) -> Mailbox<Result<[SocketAddress], TransportError>> {
    if let answers { return answers }
    let mailbox = try Mailbox<Result<[SocketAddress], TransportError>>(loop: loop) { [weak self] in
      self?.answered($0)
    }
    answers = mailbox
    return mailbox
  }

  /// Those who wait for an answer, and have another to fall back on, wait for so long.
  private func startGrace() {
    guard known != nil, !isOverdue else { return }
    let grace = grace ?? Timer(loop: loop) { [unowned self] in serveFromKnown() }
    self.grace = grace
    grace.start(milliseconds: Self.graceMilliseconds)
  }

  private func serveFromKnown() {
    isOverdue = true
    if let addresses = usable(.now()) { serve(.success(addresses)) }
  }

  private func answered(_ result: Result<[SocketAddress], TransportError>) {
    running -= 1
    askedAt = nil
    isOverdue = false
    grace?.stop()
    took(result)
  }

  private func took(_ result: Result<[SocketAddress], TransportError>) {
    let now = Instant.now()
    switch result {
    case .success(let addresses):
      let hasChanged = known.map { Set($0.addresses) != Set(addresses) } ?? false
      known = (addresses, now)
      failure = nil
      if hasChanged { onChange?() }
      serve(result)
    case .failure(let error):
      failure = (error, now)
      serve(usable(now).map { .success($0) } ?? result)
    }
  }

  private func serve(_ result: Result<[SocketAddress], TransportError>) {
    let bodies = waiting
    waiting = []
    for (_, body) in bodies { body(result) }
  }

  // MARK: The system

  /// `getaddrinfo`: files, DNS, whatever nsswitch.conf says. Blocks.
  public static let askSystem: Lookup = { host, port in
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
      return .failure(TransportError(.resolve, code: code == EAI_SYSTEM ? -errno : named(code)))
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let info = unsafe next {
      if let address = unsafe SocketAddress(tg_address_of(info)) { addresses.append(address) }
      unsafe next = info.pointee.ai_next
    }
    return .success(addresses)
  }

  /// libuv's code for one of getaddrinfo's, so that errors have one kind of name.
  private static func named(_ code: Int32) -> Int32 {
    switch code {
    case EAI_AGAIN: UV_EAI_AGAIN.rawValue
    case EAI_BADFLAGS: UV_EAI_BADFLAGS.rawValue
    case EAI_FAIL: UV_EAI_FAIL.rawValue
    case EAI_FAMILY: UV_EAI_FAMILY.rawValue
    case EAI_MEMORY: UV_EAI_MEMORY.rawValue
    case EAI_SERVICE: UV_EAI_SERVICE.rawValue
    case EAI_SOCKTYPE: UV_EAI_SOCKTYPE.rawValue
    default: UV_EAI_NONAME.rawValue
    }
  }
}
