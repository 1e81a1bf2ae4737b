// `tachograph load`: sends requests to a server and prints a summary. Used by scripts/bench and demo; hidden from the
// help.
import ArgumentParser
import Glibc
import LoadClient
import Logging
import Service
import Transport

struct LoadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Send requests to a server and print the results as one JSON object.",
    shouldDisplay: false)

  @Argument(help: "ADDRESS:PORT of the server.")
  var target: String

  @Option(help: "The request's path.")
  var path = "/v1/chat/completions"

  @Option(help: "The request's body.")
  var body = #"{"model":"simulated","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#

  @Option(name: .shortAndLong, help: "A request field, 'name: value'. May be given again.")
  var header: [String] = []

  @Option(help: "Connections at the same time.")
  var connections = 1

  @Option(help: "Total number of requests.")
  var requests: Int?

  @Option(help: "Seconds after which no more requests are sent and running ones are cut.")
  var duration: Double?

  @Option(help: "Seconds over which the connections start.")
  var stagger = 0.0

  @Option(help: "Requests per second, however slow the server is.")
  var rate: Double?

  @Option(help: "Seconds between an answer and the next request.")
  var think = 0.0

  @Option(help: "Give up each answer after so many tokens.")
  var abortAfter: Int?

  @Option(help: "Seconds to wait after each read.")
  var readPause = 0.0

  @Option(help: "A simulator's truth file, with which the arrival of each token is compared.")
  var truth: String?

  @Option(help: "The beginning of each request id.")
  var idPrefix = "load"

  @Flag(help: "Take arrival times in the event loop, not from the kernel.")
  var loopStamps = false

  @Flag(help: "Print nothing.")
  var quiet = false

  func validate() throws {
    guard SocketAddress(text: target) != nil else { throw ValidationError("'\(target)' is not ADDRESS:PORT") }
    guard connections >= 1 else { throw ValidationError("--connections must be at least 1") }
    guard requests != nil || duration != nil else { throw ValidationError("give --requests or --duration") }
    guard rate ?? 1 > 0, duration ?? 1 > 0, think >= 0, stagger >= 0, readPause >= 0 else {
      throw ValidationError("times and rates cannot be negative")
    }
    for field in header where !field.contains(": ") { throw ValidationError("'\(field)' is not 'name: value'") }
  }

  func run() throws {
    SignalWatcher.ignoreBrokenPipes()
    OpenFiles.raiseLimit()
    guard let address = SocketAddress(text: target) else { throw ExitCode.validationFailure }
    let loop = try EventLoop()
    let client = LoadClient(loop: loop, plan: plan(address))
    let signals = [SIGTERM, SIGINT].map { SignalWatcher(loop: loop, signal: $0) { client.stop() } }
    var summary = client.run()
    for signal in signals { signal.close() }
    while loop.runOnce() {}
    if let truth {
      let (found, wanted) = summary.compare(withTruth: truth)
      if found < wanted { Log.standardError.warning("the truth lacks \(wanted - found) of \(wanted) requests") }
    }
    if !quiet { print(summary.json) }
  }

  private func plan(_ address: SocketAddress) -> LoadPlan {
    var plan = LoadPlan(address: address, path: path, body: body)
    plan.fields = header.compactMap { text in
      guard let colon = text.firstIndex(of: ":") else { return nil }
      return (String(text[..<colon]), String(text[colon...].dropFirst(2)))
    }
    plan.connections = connections
    plan.requests = requests
    plan.durationMilliseconds = duration.map { UInt64($0 * 1000) }
    plan.staggerMilliseconds = UInt64(stagger * 1000)
    plan.rate = rate
    plan.thinkMilliseconds = UInt64(think * 1000)
    plan.abortAfterTokens = abortAfter
    plan.readPauseMilliseconds = UInt64(readPause * 1000)
    plan.usesKernelStamps = !loopStamps
    plan.keepsArrivals = truth != nil
    plan.idPrefix = idPrefix
    return plan
  }
}
