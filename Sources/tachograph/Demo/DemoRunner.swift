// The demo's course: server, proxy, tail and clients come up in order, and go down in the opposite one.
// It must not decide what the clients do.
import Glibc
import Transport

/// Runs the demo on a loop until it is told to end, time is over, or a child fails.
final class DemoRunner {
  private let loop: EventLoop
  private let folder: DemoFolder
  private var children: [Child] = []
  private var isEnding = false
  private var failure: String?

  init(loop: EventLoop, folder: DemoFolder) {
    self.loop = loop
    self.folder = folder
  }

  /// Has `play` return.
  func end() { isEnding = true }

  /// Plays the whole demo. All children are gone when it returns.
  /// - Returns: what went wrong, if anything.
  func play(listen: String, seconds: Double?) -> String? {
    defer { for child in children.reversed() { child.stop() } }
    guard let proxy = raiseServers(listen: listen) else { return failure }
    print(
      """
      A simulated LLM server, tachograph in front of it, and clients of every temper.
      Each line is one exchange, shown as it ends. hasty gives up early, unlucky meets
      errors, llama-fan speaks Ollama; slow-reader reads slowly, and that is not
      counted against the model. Be a client yourself, in another terminal:

        curl -N http://\(proxy)/v1/chat/completions \\
          -d '{"model":"mine","stream":true}'

      Ctrl-C ends the demo.

      """)
    fflush(nil)
    guard start(["tail", folder.file("records.jsonl")], log: nil) else { return failure }
    for client in DemoClient.all {
      // Days: the demo ends them.
      let arguments = ["load", proxy, "--duration", "1e6"] + client.arguments
      guard start(arguments, log: folder.file("clients.log")) else { return failure }
    }
    watch(seconds: seconds)
    return failure
  }

  /// Starts simulator and proxy.
  /// - Returns: the proxy's address.
  private func raiseServers(listen: String) -> String? {
    let arguments = ["simulate", "--listen", "127.0.0.1:0", "--seed", String(getpid())]
    guard start(arguments, log: folder.file("simulate.log")) else { return nil }
    guard let upstream = found(inLog: "simulate.log", where: Self.address) else { return nil }
    // Whether an address is free only trying tells: between a look and the use another may take it.
    for address in [listen, "127.0.0.1:0"] where !isEnding {
      let serve = [
        "serve", "--upstream", "http://\(upstream)", "--listen", address, "--workers", "1",
        "--records", folder.file("records.jsonl"),
      ]
      guard start(serve, log: folder.file("serve.log")) else { return nil }
      if let proxy = found(inLog: "serve.log", where: Self.address) {
        failure = nil
        return proxy
      }
      children.removeLast().stop()
    }
    return nil
  }

  /// The address in a line such as `listening on 127.0.0.1:4141`.
  private static func address(_ log: String) -> String? {
    for line in log.split(separator: "\n") {
      guard let found = line.firstRange(of: "listening on ") else { continue }
      let rest = line[found.upperBound...].prefix { !$0.isWhitespace && $0 != "," }
      let text = rest.hasPrefix("http://") ? rest.dropFirst(7) : rest
      if SocketAddress(text: String(text)) != nil { return String(text) }
    }
    return nil
  }

  private func start(_ arguments: [String], log: String?) -> Bool {
    guard let child = Child(arguments, log: log) else {
      failure = "cannot start tachograph \(arguments.first ?? "")"
      return false
    }
    children.append(child)
    return true
  }

  /// Waits, 10 s at most, until the newest child's log says what is wanted.
  private func found(inLog name: String, where find: (String) -> String?) -> String? {
    for _ in 0..<500 where !isEnding {
      if let found = find(folder.text(name)) { return found }
      if let child = children.last, !child.isRunning() { break }
      loop.runOnce()
      usleep(20_000)
    }
    if !isEnding {
      failure = "tachograph \(children.last?.name ?? "") did not come up:\n\(folder.text(name))"
    }
    return nil
  }

  /// Lets it run; the end of any child before ours is a failure.
  private func watch(seconds: Double?) {
    let check = Timer(loop: loop) { [unowned self] in
      guard let dead = children.first(where: { !$0.isRunning() }) else { return }
      failure = "tachograph \(dead.name) ended:\n\(folder.text("\(dead.name).log"))"
      isEnding = true
    }
    check.start(milliseconds: 250, repeating: 250)
    let over = Timer(loop: loop) { [unowned self] in isEnding = true }
    if let seconds { over.start(milliseconds: UInt64(seconds * 1000)) }
    while !isEnding { loop.runOnce(waiting: true) }
    check.close()
    over.close()
  }
}
