// One reply under way: performs its script's steps, and writes each to the connection. The simulator decides when.
import Clocks
import Transport

/// Scratch memory that all replies of a loop share.
final class ReplyScratch {
  var event: [UInt8] = []
  var frame: [UInt8] = []
}

/// A reply to one request, from its place in the queue to its last byte.
final class ActiveReply {
  /// What a step leads to.
  enum Next {
    /// Another step, this many nanoseconds after the present one was due.
    case pause(Int64)
    /// The reply is complete; `closing` where only the connection's end delimits it.
    case ended(closing: Bool)
    /// The connection is to be closed in mid-reply.
    case cut(reset: Bool)
    /// Nothing more is ever sent.
    case hung
  }

  unowned let connection: SimulatorConnection
  let behaviour: Behaviour
  var truth: TruthEntry
  /// When the next step is due.
  var nextAt: Instant
  var isOver = false
  var hasBegun = false
  var waitsForDrain = false

  private(set) var script: ReplyScript
  private let request: CompletionRequest
  private let rendering: any Rendering
  private let framing: StreamFraming
  private let timesWrites: Bool
  private let scratch: ReplyScratch
  private var totals: ReplyTotals
  private var hasRole = false
  /// Where the text begins that comes with the next event.
  private var mergedFrom: Int?
  /// Tokens of each choice since its last event.
  private var newTokens = 0
  /// Events that are written together with those that follow, and their number and tokens.
  private var clump: [UInt8] = []
  private var clumpedEvents = 0
  private var clumpedTokens: Int?

  init(
    _ connection: SimulatorConnection, _ request: CompletionRequest, _ behaviour: Behaviour, script: ReplyScript,
    rendering: any Rendering, truth: TruthEntry, timesWrites: Bool, scratch: ReplyScratch
  ) {
    self.connection = connection
    self.request = request
    self.behaviour = behaviour
    self.script = script
    self.rendering = rendering
    self.truth = truth
    self.timesWrites = timesWrites
    self.scratch = scratch
    framing = connection.readsChunks ? behaviour.framing : .close
    nextAt = truth.completeAt
    totals = ReplyTotals(receivedAt: truth.completeAt, startedAt: truth.completeAt)
    self.truth.isStreamed = request.isStreamed
    self.truth.choices = request.choices
  }

  /// Starts the clock. A stream's head is sent at once.
  func begin(at instant: Instant) {
    hasBegun = true
    truth.startedAt = instant
    totals.startedAt = instant
    totals.isCutByLimit = script.isCutByLimit
    nextAt = instant.advanced(byNanoseconds: script.ttftNanoseconds)
    if behaviour.neverAnswers { truth.outcome = .hang }
    guard request.isStreamed, !behaviour.neverAnswers else { return }
    connection.writeHead(
      status: 200, contentType: rendering.contentType, length: nil, closing: framing == .close,
      chunked: framing == .chunked)
    if behaviour.sendsRoleEarly { writeRoles() }
  }

  /// Performs one step.
  func step() -> Next {
    if request.isStreamed, !hasRole { writeRoles() }
    switch script.next() {
    case .tokens(let count):
      writeTokens(count)
      if script.isAtEnd { return step() }
      return .pause(script.pause())
    case .merged(let count):
      generate(count)
      if mergedFrom == nil { mergedFrom = totals.tokens - count }
      return .pause(script.pause())
    case .swallowed(let count):
      generate(count)
      writeSilentTokens()
      if script.isAtEnd { return step() }
      return .pause(script.pause())
    case .finish:
      return finish()
    case .fault(let kind):
      return fail(kind)
    }
  }

  private func writeRoles() {
    hasRole = true
    for choice in 0..<request.choices { writeEvent { rendering.appendRole(choice: choice, to: &$0) } }
  }

  /// Counts tokens that have been generated.
  private func generate(_ count: Int) {
    totals.tokens += count
    totals.steps += 1
    newTokens += count
    truth.tokens += count * request.choices
    // Only the server's own times need these.
    guard request.dialect.isOllama || behaviour.statesMetrics else { return }
    let now = Instant.now()
    if totals.firstAt == nil { totals.firstAt = now }
    totals.lastAt = now
  }

  private func writeSilentTokens() {
    guard request.isStreamed, behaviour.eventCounts == .ids else { return }
    let tokens = EventTokens(range: totals.tokens..<totals.tokens, total: totals.tokens, new: newTokens)
    for choice in 0..<request.choices {
      writeEvent { rendering.appendSilentTokens(tokens, choice: choice, to: &$0) }
    }
    newTokens = 0
  }

  private func writeTokens(_ count: Int) {
    let range = (mergedFrom ?? totals.tokens)..<totals.tokens + count
    generate(count)
    let tokens = EventTokens(range: range, total: totals.tokens, new: newTokens)
    mergedFrom = nil
    newTokens = 0
    let isReasoning = range.lowerBound < behaviour.reasoningTokens
    let padding = range.lowerBound == 0 ? behaviour.firstEventBytes : 0
    if request.isStreamed {
      for choice in 0..<request.choices {
        writeEvent(tokens: tokens.new) {
          rendering.appendTokens(tokens, choice: choice, isReasoning: isReasoning, paddedTo: padding, to: &$0)
        }
      }
    }
  }

  private func finish() -> Next {
    guard request.isStreamed else { return finishWhole() }
    for choice in 0..<request.choices {
      writeEvent { rendering.appendFinish(choice: choice, totals, to: &$0) }
    }
    writeEvent { rendering.appendUsage(totals, to: &$0) }
    if behaviour.omitsTerminator {
      truth.outcome = .noTerminator
      return endStream { _ in }
    }
    return endStream { rendering.appendTerminator(totals, to: &$0) }
  }

  private func finishWhole() -> Next {
    scratch.event.removeAll(keepingCapacity: true)
    rendering.appendWhole(totals, reasoningTokens: behaviour.reasoningTokens, to: &scratch.event)
    let contentType: StaticString =
      request.dialect.isOllama ? "application/json; charset=utf-8" : "application/json"
    connection.writeWhole(status: 200, contentType: contentType, body: scratch.event)
    return .ended(closing: false)
  }

  private func fail(_ kind: FaultKind) -> Next {
    flushClump()
    switch kind {
    case .hang:
      truth.outcome = .hang
      return .hung
    case .cut:
      truth.outcome = .cut
      return .cut(reset: false)
    case .tear:
      truth.outcome = .tear
      writeTornEvent()
      return .cut(reset: false)
    case .reset:
      truth.outcome = .reset
      return .cut(reset: true)
    case .garbage:
      truth.outcome = .garbage
      scratch.frame.removeAll(keepingCapacity: true)
      scratch.frame.append("\u{7F}no chunk\r\n\r\n" as StaticString)
      _ = connection.stream.write(scratch.frame)
      return .hung
    case .error:
      truth.outcome = .error
      guard request.isStreamed else {
        connection.writeError(status: 500, isOllama: request.dialect.isOllama)
        truth.status = 500
        return .ended(closing: false)
      }
      return endStream { rendering.appendError(to: &$0) }
    }
  }

  /// Writes the first half of the first choice's next event.
  private func writeTornEvent() {
    guard request.isStreamed else { return }
    scratch.event.removeAll(keepingCapacity: true)
    flushClump()
    let next = EventTokens(range: totals.tokens..<totals.tokens + 1, total: totals.tokens + 1, new: 1)
    rendering.appendTokens(next, choice: 0, isReasoning: false, paddedTo: 0, to: &scratch.event)
    scratch.frame.removeAll(keepingCapacity: true)
    if framing == .chunked {
      scratch.frame.append(chunk: scratch.event)
    } else {
      scratch.frame.append(contentsOf: scratch.event)
    }
    scratch.frame.removeLast(scratch.frame.count / 2)
    _ = connection.stream.write(scratch.frame)
  }

  /// Writes the last event together with the end of the body, as servers do.
  private func endStream(_ append: (inout [UInt8]) -> Void) -> Next {
    flushClump()
    scratch.event.removeAll(keepingCapacity: true)
    append(&scratch.event)
    scratch.frame.removeAll(keepingCapacity: true)
    if framing == .chunked {
      if !scratch.event.isEmpty { scratch.frame.append(chunk: scratch.event) }
      scratch.frame.append("0\r\n\r\n" as StaticString)
    } else {
      scratch.frame.append(contentsOf: scratch.event)
    }
    _ = connection.stream.write(scratch.frame)
    return .ended(closing: framing == .close)
  }

  /// Writes one event with one call, timed if it contains tokens.
  private func writeEvent(tokens: Int? = nil, _ append: (inout [UInt8]) -> Void) {
    scratch.event.removeAll(keepingCapacity: true)
    append(&scratch.event)
    guard !scratch.event.isEmpty else { return }
    if framing == .chunked {
      scratch.frame.removeAll(keepingCapacity: true)
      scratch.frame.append(chunk: scratch.event)
      write(scratch.frame, tokens)
    } else {
      write(scratch.event, tokens)
    }
  }

  private func write(_ bytes: [UInt8], _ tokens: Int?) {
    guard behaviour.eventsPerWrite > 1 else { return writeNow(bytes, tokens) }
    clump.append(contentsOf: bytes)
    if let tokens { clumpedTokens = (clumpedTokens ?? 0) + tokens }
    clumpedEvents += 1
    if clumpedEvents >= behaviour.eventsPerWrite { flushClump() }
  }

  private func flushClump() {
    guard !clump.isEmpty else { return }
    writeNow(clump, clumpedTokens)
    (clump, clumpedEvents, clumpedTokens) = ([], 0, nil)
  }

  private func writeNow(_ bytes: [UInt8], _ tokens: Int?) {
    guard let tokens, timesWrites else {
      if !connection.stream.write(bytes) { truth.queuedWrites += 1 }
      return
    }
    let beforeAt = Instant.now()
    let taken = connection.stream.write(bytes)
    truth.writes.append(.init(beforeAt: beforeAt, afterAt: .now(), tokens: tokens))
    if !taken { truth.queuedWrites += 1 }
  }
}
