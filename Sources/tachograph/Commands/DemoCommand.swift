// `tachograph demo`: a server without a model, the proxy, a few clients and the tail, in one terminal.
// It must not know how any of them works: each is a child process of this same binary.
import ArgumentParser
import Glibc
import Logging
import Transport

struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "See it work: a simulated server, the proxy, a few clients and the tail, in one terminal.",
    discussion: """
      Starts `tachograph simulate`, `tachograph serve` before it, clients of different temper (one patient, one slow \
      reader, one that gives up, one that comes in bursts, one that speaks Ollama, one that meets errors) and \
      `tachograph tail` on the records. Records and logs are kept in a temporary folder and removed at the end. \
      Ctrl-C ends it.
      """)

  @Option(help: "Where the proxy listens; a free port is taken where this one is not free.")
  var listen = "127.0.0.1:4141"

  @Option(help: "End by itself after so many seconds.")
  var seconds: Double?

  func validate() throws {
    guard SocketAddress(text: listen) != nil else { throw ValidationError("--listen '\(listen)' is no ADDRESS:PORT") }
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
