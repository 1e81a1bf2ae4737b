// The upstream servers of one worker, and which of them a request goes to.
import Clocks
import HTTP
import Transport

/// One worker's upstreams. Confined to the worker's thread.
final class UpstreamList {
  /// Those that requests are routed to, in the order of the settings.
  private(set) var all: [Upstream]
  /// Those whose address was changed by a reload while an exchange waited for their addresses.
  private var retired: [Upstream] = []
  private var keepsIdleConnections = true
  private let router: Router
  private let worker: Int
  private let loop: EventLoop

  /// - Parameter worker: the worker's number, from 0.
  init(_ configuration: ConfigurationSnapshot, _ proxy: ProxyState, worker: Int, loop: EventLoop) {
    router = proxy.router
    self.worker = worker
    self.loop = loop
    all = zip(configuration.upstreams, proxy.upstreams).map { settings, state in
      Upstream(settings, configuration, state, worker: worker, loop: loop)
    }
  }

  /// The upstream that a request goes to.
  func route(_ head: RequestHead) -> Upstream { router.choose(head, all) }

  /// What `upstream` is now: the one that has its name, at the address that the settings in force give it.
  func current(_ upstream: Upstream) -> Upstream { all.first { $0.state === upstream.state } ?? upstream }

  /// Takes over other settings. The upstreams' number and names stay.
  func apply(_ configuration: ConfigurationSnapshot) {
    closeRetired()
    for (index, settings) in configuration.upstreams.enumerated() {
      let upstream = all[index]
      guard settings.address != upstream.settings.address else {
        upstream.apply(settings, configuration)
        continue
      }
      all[index] = Upstream(
        settings, configuration, upstream.state, worker: worker, loop: loop, replacing: upstream)
      if !keepsIdleConnections { all[index].stopKeepingConnections() }
      upstream.stopKeepingConnections()
      retired.append(upstream)
    }
    closeRetired()
  }

  private func closeRetired() {
    for upstream in retired where !upstream.isAwaited { upstream.close() }
    retired.removeAll { !$0.isAwaited }
  }

  /// Call it four times a second.
  func checkDeadlines(_ now: Instant) {
    for upstream in all { upstream.checkDeadlines(now) }
    closeRetired()
  }

  /// Closes the connection that has been idle longest, for a descriptor that is needed more.
  /// - Returns: whether there was one.
  func evictOldest() -> Bool {
    let pools = all.map(\.pool).compactMap { pool in pool.oldestAt.map { (pool, $0) } }
    guard let (pool, _) = pools.min(by: { $0.1 < $1.1 }) else { return false }
    pool.evictOldest()
    return true
  }

  /// Keeps no connection from now on: the worker drains.
  func stopKeepingConnections() {
    keepsIdleConnections = false
    for upstream in all { upstream.stopKeepingConnections() }
  }

  /// Lets the loop go.
  func close() { for upstream in retired + all { upstream.close() } }
}
