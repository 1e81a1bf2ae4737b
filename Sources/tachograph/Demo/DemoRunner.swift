// Starts the demo's processes in order (simulator, proxy, tail, clients) and ends them in the opposite order.
import Glibc
import Transport

/// Runs the demo on a loop until `end` is called, its time is over, or a child fails.
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

  /// Makes `play` return.
  func end() { isEnding = true }

  /// Runs the whole demo. All children have ended when it returns.
  /// - Returns: the reason where it failed.
  func play(listen: String, seconds: Double?) -> String? {
    defer { for child in children.reversed() { child.stop() } }
    guard let proxy = raiseServers(listen: listen) else { return failure }
    print(
      """
      A simulated LLM server, tachograph in front of it, and several clients. Each line
      is one exchange, shown when it ends. hasty gives up early, unlucky gets errors,
      llama-fan uses Ollama's API, and slow-reader reads slowly, which is not counted
      as the model's time. Send a request yourself, in another terminal:

        curl -N http://\(proxy)/v1/chat/completions \\
          -d '{"model":"mine","stream":true}'

      Ctrl-C ends the demo.

      """)
    fflush(nil)
    guard start(["tail", folder.file("records.jsonl")], log: nil) else { return failure }
    for client in DemoClient.all {
      // 11 days: the demo ends them.
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
    // An address is tried, not checked: between a check and its use another process could take it.
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

  /// Waits, for 10 s at most, until `find` finds something in the log of the newest child.
  private func found(inLog name: String, where find: (String) -> String?) -> String? {
    for _ in 0..<500 where !isEnding {
      if let found = find(folder.text(name)) { return found }
      if let child = children.last, !child.isRunning() { break }
      loop.runOnce()
      usleep(20_000)
    }
    if !isEnding {
      failure = "tachograph \(children.last?.name ?? "") did not start:\n\(folder.text(name))"
    }
    return nil
  }

  /// Waits until the demo is over. A child that ends earlier is a failure.
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
