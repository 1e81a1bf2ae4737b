// Shares a worker's time and memory among the bodies that have to be inflated to be measured.
import Clocks
import ContentCoding
import TokenWire
import Transport

/// The turns in which compressed bodies are inflated. Confined to its worker's thread.
///
/// A few bytes of a compressed body can stand for megabytes. What comes is inflated in slices: between two of them the loop serves
/// others, and all bodies together get a bounded share of the worker's time. What does not fit into it waits, and is inflated
/// later; a record waits for its own bodies. Forwarding waits for nothing.
@safe
final class InflationTurns {
  /// A body with bytes that wait.
  @safe
  private enum Body {
    case request(RequestReader)
    case response(UnsafeMutablePointer<RecorderState>)
  }

  private struct LateRecord {
    let exchange: Exchange
    let termination: Termination?
  }

  /// Bytes that may come out in a second, of text that costs no more to read than usual.
  private static let bytesPerSecond: Int64 = 64 << 20
  /// Of each second, the nanoseconds that inflating may take, whatever comes out.
  private static let nanosecondsPerSecond: Int64 = 100_000_000
  /// Bytes that may come out at once: some 300 µs.
  private static let mostBytes = 256 << 10
  /// Bytes that come out of an inflater at a time: with fewer left, all have to wait.
  private static let leastBytes = 16 << 10
  /// Bytes that may come out of one body before it is another's turn.
  private static let sliceBytes = 64 << 10
  /// How long the end of a worker may take for what still waits.
  private static let closingNanoseconds: Int64 = 500_000_000
  /// Memory that inflaters of responses may hold together.
  private static let mostMemory = 256 << 20
  /// Exchanges that may wait for their bodies when they have ended.
  private static let mostLate = 1_024

  private let context: DecodingContext
  private var waiting: [Body] = []
  private var late: [LateRecord] = []
  private var timer: Timer?
  private var left = mostBytes
  private var refilledAt = Instant(nanoseconds: 0)
  private var isClosed = false
  /// Memory that inflaters of responses hold.
  private(set) var memory = 0

  init(_ context: DecodingContext) { self.context = context }

  /// Inflates what waits, until closed.
  func begin(on loop: EventLoop) { timer = Timer(loop: loop) { [unowned self] in takeTurn() } }

  /// Inflates what still waits, as far as that takes half a second at most, submits the records that wait for it, and lets go of
  /// the loop: nobody else is left.
  func close() {
    isClosed = true
    let until = Instant.now().advanced(byNanoseconds: Self.closingNanoseconds)
    while !waiting.isEmpty, Instant.now() < until { inflateOne() }
    waiting = []
    for record in late { record.exchange.submitRecord(record.termination) }
    late = []
    timer?.close()
    timer = nil
  }

  /// About how many bytes may come out of one body now; 0 where it has to wait.
  var allowance: Int {
    guard !isClosed else { return Self.sliceBytes }
    let now = Instant.now()
    let earned = min(now.nanoseconds(since: refilledAt), 1_000_000_000) * Self.bytesPerSecond / 1_000_000_000
    left = min(left + Int(earned), Self.mostBytes)
    refilledAt = now
    return left < Self.leastBytes ? 0 : min(left, Self.sliceBytes)
  }

  /// So many bytes have come out since `began`. Some are dearer to read than others, such as thousands of tiny members: they
  /// count for as many as are usually read in that time.
  func spend(_ bytes: Int, since began: Instant) {
    let usual = Instant.now().nanoseconds(since: began) * Self.bytesPerSecond / Self.nanosecondsPerSecond
    left -= max(bytes, Int(usual))
  }

  /// An inflater of a response holds more memory, or less.
  /// - Returns: false where that is too much.
  func changeMemory(by bytes: Int) -> Bool {
    memory += bytes
    return bytes <= 0 || memory <= Self.mostMemory
  }

  /// A request's body waits.
  func add(_ reader: RequestReader) { add(.request(reader)) }

  /// A response's body waits. `remove` has to be called before its state goes.
  func add(_ state: UnsafeMutablePointer<RecorderState>) { unsafe add(.response(state)) }

  private func add(_ body: Body) {
    waiting.append(body)
    if waiting.count == 1 { timer?.start(milliseconds: 1) }
  }

  /// A request's body waits no more.
  func remove(_ reader: RequestReader) {
    waiting.removeAll { if case .request(let other) = $0 { other === reader } else { false } }
  }

  /// A response's body waits no more.
  func remove(_ state: UnsafeMutablePointer<RecorderState>) {
    waiting.removeAll { if case .response(let other) = $0 { unsafe other == state } else { false } }
  }

  /// An exchange has ended, and its bodies are not all inflated: its record is submitted when they are.
  func submitLater(_ exchange: Exchange, _ termination: Termination?) {
    guard late.count < Self.mostLate, !isClosed else { return exchange.submitRecord(termination) }
    late.append(LateRecord(exchange: exchange, termination: termination))
  }

  private func takeTurn() {
    while !waiting.isEmpty, allowance > 0 { inflateOne() }
    submitDecoded()
    if !waiting.isEmpty { timer?.start(milliseconds: 1) }
  }

  private func inflateOne() {
    let body = waiting.removeFirst()
    let isWaiting: Bool
    switch body {
    case .request(let reader):
      let began = Instant.now()
      spend(reader.inflateMore(allowance), since: began)
      isWaiting = reader.isWaiting
    case .response(let state):
      isWaiting = unsafe state.pointee.inflateMore(context)
    }
    if isWaiting { waiting.append(body) }
  }

  private func submitDecoded() {
    guard !late.isEmpty else { return }
    let (done, rest) = (late.filter { $0.exchange.recorder.isDecoded }, late.filter { !$0.exchange.recorder.isDecoded })
    late = rest
    for record in done { record.exchange.submitRecord(record.termination) }
  }
}
