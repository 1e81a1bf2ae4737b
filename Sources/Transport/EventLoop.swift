// One libuv loop and what its streams share: the read buffer and the clock that maps kernel stamps.
import CLibuv
import Clocks

/// A libuv loop, confined to the thread that runs it.
///
/// Every handle made on a loop retains the loop; the loop frees nothing before `run` has returned and each handle has
/// had its close callback.
@safe
public final class EventLoop {
  /// The most bytes of one read: enough that a flood needs few system calls, small enough to stay in the cache.
  public static let readCapacity = 64 * 1024

  /// Cores that this process may use, at least 1: a loop for each is as many as do any good.
  public static var usableCores: Int { Int(uv_available_parallelism()) }

  let handle: UnsafeMutablePointer<uv_loop_t>
  /// Shared by all streams: it is filled and read within one callback, and nobody keeps a reference to it.
  let readBuffer: UnsafeMutableRawBufferPointer
  /// Behind a pointer: each read uses it, and accesses to a stored property would be checked for exclusivity.
  private let clock: UnsafeMutablePointer<StampClock>
  private var anchor: WallAnchor
  /// Reads both clocks; tests step the wall clock.
  var readClocks: () -> WallAnchor = WallAnchor.now

  /// How the peers of its TCP streams are found out that have vanished; for streams that are made from now on.
  public var liveness = Liveness.off

  /// How its TCP streams are told that bytes wait.
  let trigger: PollTrigger

  /// Makes a loop of its own (never libuv's default one).
  /// - Parameter trigger: how its TCP streams are told that bytes wait. By edge costs less; tests run both ways.
  /// - Throws: `TransportError` where the system has no descriptor left for it.
  public init(trigger: PollTrigger = .edge) throws(TransportError) {
    self.trigger = trigger
    _ = KernelStamps.shared
    anchor = .now()
    unsafe clock = .allocate(capacity: 1)
    unsafe clock.initialize(to: StampClock(anchor: anchor))
    unsafe handle = .allocate(capacity: 1)
    unsafe readBuffer = .allocate(byteCount: Self.readCapacity, alignment: 64)
    let result = unsafe uv_loop_init(handle)
    guard result == 0 else {
      unsafe handle.deallocate()
      unsafe readBuffer.deallocate()
      throw TransportError(.loop, code: result)
    }
  }

  deinit {
    // Handles retain the loop, so none is left here; EBUSY would mean that one leaked, and then its memory stays.
    unsafe clock.deinitialize(count: 1)
    unsafe clock.deallocate()
    if unsafe uv_loop_close(handle) == 0 { unsafe handle.deallocate() }
    unsafe readBuffer.deallocate()
  }

  /// Runs until `stop()`, or until no active handle is left.
  public func run() { _ = unsafe uv_run(handle, UV_RUN_DEFAULT) }

  /// Runs what is ready now, without waiting. For tests, and for letting close callbacks come after `run`.
  /// - Returns: whether handles or callbacks are left.
  @discardableResult
  public func runOnce(waiting: Bool = false) -> Bool {
    unsafe uv_run(handle, waiting ? UV_RUN_ONCE : UV_RUN_NOWAIT) != 0
  }

  /// Makes `run` return after the current turn.
  public func stop() { unsafe uv_stop(handle) }

  /// The wall time of `instant`, by an anchor that is at most a millisecond old. One instant has the same wall time at each
  /// call, as long as the wall clock is not stepped.
  public func wallAnchor(at instant: Instant) -> WallAnchor {
    reanchor(at: instant)
    return WallAnchor(realtimeNanoseconds: anchor.realtimeNanoseconds(at: instant), instant: instant)
  }

  /// Maps a kernel stamp to the monotonic clock (Documentation.docc/Metrics.md, "Clocks").
  func arrival(stamp: Int64?, readAt: Instant, notBefore: Instant?) -> Arrival {
    reanchor(at: readAt)
    return unsafe clock.pointee.arrival(stamp: stamp, readAt: readAt, notBefore: notBefore)
  }

  /// Reads both clocks anew, at most once a millisecond.
  private func reanchor(at instant: Instant) {
    guard instant.nanoseconds(since: anchor.instant) > 1_000_000 else { return }
    let fresh = readClocks()
    anchor = anchor.renewed(by: fresh)
    unsafe clock.pointee.reanchor(fresh)
  }
}
