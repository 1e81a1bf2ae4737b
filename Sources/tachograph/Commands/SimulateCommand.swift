// `tachograph simulate`: an LLM server without a model.
import ArgumentParser
import Glibc
import Logging
import Service
import Simulator
import Transport

struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run an LLM server without a model, for demos and tests.",
    discussion: """
      Speaks OpenAI (/v1/chat/completions, /v1/completions, /v1/models) and Ollama (/api/chat, /api/generate, \
      /api/tags), streamed and whole, and shows its state on /sim/state. Tokens come at times that are drawn from the \
      distributions below, or as the fields of a request ask:

        x-sim-ttft: DIST            time to the first token
        x-sim-interval: DIST        time between events; 0 is as fast as possible
        x-sim-tokens: DIST          tokens of each choice
        x-sim-tokens-per-event: DIST  tokens in each event: a stream interval, or speculative decoding
        x-sim-merge-every: N        every Nth token has no event; its text comes with the next one's
        x-sim-swallow: N,M          M tokens behind the first N are generated and never shown
        x-sim-counts: KIND          what events say of their tokens: none, continuous (usage) or ids (token_ids)
        x-sim-clump: N              N events are written together, as a buffer on the way would
        x-sim-metrics: yes          the last event states the server's own times, as vLLM does
        x-sim-reasoning: N          the first N tokens are reasoning
        x-sim-stall: N,DURATION     a pause after N tokens
        x-sim-status: 429           an error instead of an answer (400 to 599)
        x-sim-error-after: N        an error event inside the stream after N tokens
        x-sim-cut-after: N          the connection ends in the middle of the stream after N tokens
        x-sim-tear-after: N         the same in the middle of an event
        x-sim-reset-after: N        the same with a reset
        x-sim-garbage-after: N      bytes that are neither chunk nor event, and nothing more
        x-sim-hang: head|N          no answer at all, or nothing more after N tokens
        x-sim-no-done: yes          the stream ends without its terminator
        x-sim-event-bytes: N        the first token's event is padded to N bytes
        x-sim-early-role: yes       the event with the role comes with the head
        x-sim-framing: close        how a stream is delimited: chunked or close
        x-sim-truth: no             this request is left out of the truth file

      DIST is a value (20ms), uniform:10ms,30ms, normal:20ms,5ms, exp:20ms or lognormal:20ms,0.5 (median, sigma); \
      counts are written without a unit. max_tokens cuts what --tokens would give.

      --truth writes one JSON line a request: x-request-id, outcome, tokens, and for every token-bearing event the \
      time (CLOCK_MONOTONIC, ns) just before and just after its write, as [before, after, tokens]. If the file cannot \
      be written any more, this is logged once, and the exit code is 1 at the end.
      """)

  @Option(help: "Address and port to listen on; port 0 takes a free one.")
  var listen = "127.0.0.1:0"

  @Option(
    help: "Time from a request to its first token (default: lognormal:120ms,0.4).",
    transform: { try Distribution(duration: $0) })
  var ttft: Distribution?

  @Option(
    help: "Time from one event to the next (default: normal:20ms,3ms).",
    transform: { try Distribution(duration: $0) })
  var interval: Distribution?

  @Option(help: "Tokens of a response (default: uniform:40,200).", transform: { try Distribution(count: $0) })
  var tokens: Distribution?

  @Option(
    help: "Tokens in one event: a stream interval, or what speculative decoding accepts (default: 1).",
    transform: { try Distribution(count: $0) })
  var tokensPerEvent: Distribution?

  @Option(help: "Every so many-th token has no event; its text comes with the next one's. 0 is none.")
  var mergeEvery = 0

  @Option(help: ArgumentHelp("Tokens that are generated and never shown, as a parser does.", valueName: "after,tokens"))
  var swallow: String?

  @Option(help: "What events say of their tokens: none, continuous or ids.")
  var counts: EventCounts = .none

  @Option(help: "Events that are written together, as a buffer on the way would.")
  var clump = 1

  @Flag(help: "State the server's own times in the last event.")
  var metrics = false

  @Flag(help: "Move each first token by a random part of an interval, so that streams do not run in step.")
  var spread = false

  @Option(help: "How streams end: chunked or close.")
  var framing: StreamFraming = .chunked

  @Option(help: "Requests that are answered at the same time; the others wait.")
  var slots: Int?

  @Option(help: "The seed of all random values.")
  var seed: UInt64 = 1

  @Option(help: "File for the true times, one JSON line for each request.")
  var truth: String?

  func validate() throws {
    guard clump >= 1 else { throw ValidationError("--clump must be at least 1") }
    guard mergeEvery >= 0 else { throw ValidationError("--merge-every must be 0 or more") }
    if let swallow, (try? Behaviour.pair(swallow)) == nil {
      throw ValidationError("--swallow '\(swallow)' is not AFTER,TOKENS")
    }
    guard slots ?? 1 >= 1 else { throw ValidationError("--slots must be at least 1") }
    guard SocketAddress(text: listen) != nil else {
      throw ValidationError("--listen '\(listen)' is not ADDRESS:PORT, such as 127.0.0.1:8000 or [::1]:8000")
    }
  }

  func run() throws {
    SignalWatcher.ignoreBrokenPipes()
    OpenFiles.raiseLimit()
    guard let address = SocketAddress(text: listen) else { throw ExitCode.validationFailure }
    var behaviour = try Behaviour()
    if let ttft { behaviour.ttft = ttft }
    if let interval { behaviour.interval = interval }
    if let tokens { behaviour.tokens = tokens }
    if let tokensPerEvent { behaviour.tokensPerEvent = tokensPerEvent }
    behaviour.mergeEvery = mergeEvery
    behaviour.swallow = try swallow.map { try Behaviour.pair($0) }
    behaviour.eventCounts = counts
    behaviour.eventsPerWrite = clump
    behaviour.statesMetrics = metrics
    behaviour.spreadsPhase = spread
    behaviour.framing = framing
    var options = SimulatorOptions(listen: address, behaviour: behaviour)
    options.seed = seed
    options.truthPath = truth
    options.slots = slots
    let loop = try EventLoop()
    let simulator = try Simulator(loop: loop, options: options)
    var hasLostTruth = false
    simulator.onTruthLost = { error in
      hasLostTruth = true
      Log.standardError.error("\(error); requests are still answered")
    }
    let signals = [SIGTERM, SIGINT].map { SignalWatcher(loop: loop, signal: $0) { simulator.stop() } }
    Log.standardError.info("listening on \(simulator.address)")
    simulator.run()
    for signal in signals { signal.close() }
    while loop.runOnce() {}
    if hasLostTruth { throw ExitCode.failure }
  }
}

extension StreamFraming: ExpressibleByArgument {}
extension EventCounts: ExpressibleByArgument {}
