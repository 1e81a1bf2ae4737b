// `tachograph demo`: simulator, proxy, clients and tail in one terminal, each a child process of this binary.
import ArgumentParser
import Glibc
import Logging
import Transport

struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "See it work: a simulated server, the proxy, a few clients and the tail, in one terminal.",
    discussion: """
      Starts `tachograph simulate`, `tachograph serve` in front of it, several clients (one patient, one that reads \
      slowly, one that gives up, one that sends bursts, one that uses Ollama's API, one that gets errors) and \
      `tachograph tail` on the records. Records and logs are in a temporary folder, which is removed at the end. \
      Ctrl-C ends it.
      """)

  @Option(help: "Where the proxy listens; if that is in use, the system chooses a free port.")
  var listen = "127.0.0.1:4141"

  @Option(help: "End after so many seconds.")
  var seconds: Double?

  func validate() throws {
    guard SocketAddress(text: listen) != nil else { throw ValidationError("--listen '\(listen)' is not ADDRESS:PORT") }
    guard seconds ?? 1 > 0 else { throw ValidationError("--seconds must be above 0") }
  }

  func run() throws {
    guard let folder = DemoFolder() else {
      Log.standardError.error("cannot make a temporary folder: \(unsafe String(cString: strerror(errno)))")
      throw ExitCode.failure
    }
    defer { folder.remove() }
    let loop = try EventLoop()
    let stage = DemoRunner(loop: loop, folder: folder)
    let signals = [SIGINT, SIGTERM, SIGHUP].map { SignalWatcher(loop: loop, signal: $0) { stage.end() } }
    defer {
      for signal in signals { signal.close() }
      while loop.runOnce() {}
    }
    let failure = stage.play(listen: listen, seconds: seconds)
    if let failure {
      Log.standardError.error(failure)
      throw ExitCode.failure
    }
  }
}
