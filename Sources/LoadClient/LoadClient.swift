// The load as a whole: which connection sends when, and the sum of the results.
import Clocks
import HTTP
import HTTP1
import Transport

/// Makes one load, confined to its loop's thread.
public final class LoadClient {
  let loop: EventLoop
  let plan: LoadPlan
  let requests: LoadRequests
  private var summary: LoadSummary
  private var connections: [LoadConnection] = []
  private var timers: [Timer] = []
  private var sent = 0
  private var ended = 0
  private var isOver = false
  private var openLoopDueAt = Instant.now()
  private let ranges = BodyRanges()
  private let output = OutputBuffer()
  /// The heads of all responses are alike.
  private let headCache = HeadCache<ResponseHead, Void>()

  /// Prepares the load.
  public init(loop: EventLoop, plan: LoadPlan) {
    self.loop = loop
    self.plan = plan
    requests = LoadRequests(plan)
    summary = LoadSummary(idPrefix: plan.idPrefix)
  }

  /// Makes the load, and returns when it is done.
  public func run() -> LoadSummary {
    let startAt = Instant.now()
    connections = (0..<plan.connections).map { _ in
      LoadConnection(self, ranges: ranges, output: output, headCache: headCache)
    }
    if let duration = plan.durationMilliseconds { after(duration) { [unowned self] in isOver = true } }
    if let rate = plan.rate { startOpenLoop(rate) } else { startClosedLoop() }
    while !isOver { loop.runOnce(waiting: true) }
    for connection in connections { connection.stop() }
    for timer in timers { timer.close() }
    timers = []
    loop.runOnce()
    summary.elapsedNanoseconds = Instant.now().nanoseconds(since: startAt)
    return summary
  }

  /// Ends the load early. On the loop's thread only.
  public func stop() { isOver = true }

  private func after(_ milliseconds: UInt64, _ action: @escaping () -> Void) {
    let timer = Timer(loop: loop, action)
    timer.start(milliseconds: milliseconds)
    timers.append(timer)
  }

  private func startClosedLoop() {
    for (index, connection) in connections.enumerated() {
      let delay = plan.staggerMilliseconds * UInt64(index) / UInt64(connections.count)
      if delay == 0 {
        sendNext(connection)
      } else {
        connection.later(delay) { [unowned self] in sendNext(connection) }
      }
    }
  }

  private func startOpenLoop(_ rate: Double) {
    let interval = Int64(1e9 / rate)
    let timer = Timer(loop: loop) { [unowned self] in
      let now = Instant.now()
      while openLoopDueAt <= now, let idle = connections.first(where: \.isIdle) {
        let due = openLoopDueAt
        openLoopDueAt = due.advanced(byNanoseconds: interval)
        sendNext(idle, due: due)
      }
    }
    openLoopDueAt = .now()
    timer.start(milliseconds: 0, repeating: 1)
    timers.append(timer)
  }

  private func sendNext(_ connection: LoadConnection, due: Instant? = nil) {
    guard !isOver, sent < plan.requests ?? .max else { return }
    sent += 1
    connection.send(sent, due: due ?? .now())
  }

  func ended(_ connection: LoadConnection, _ result: LoadResult) {
    summary.add(result)
    ended += 1
    if let requests = plan.requests, ended >= requests { isOver = true }
    guard plan.rate == nil, !isOver else { return }
    // A connection that failed waits a little, so that a server that is down does not get a million connections.
    let wait = result.ending == .broken ? max(plan.thinkMilliseconds, 20) : plan.thinkMilliseconds
    if wait == 0 { sendNext(connection) } else { connection.later(wait) { [unowned self] in sendNext(connection) } }
  }
}
