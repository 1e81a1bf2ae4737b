// `tachograph serve`: the proxy itself, from its settings to its last record.
// It must not know how requests are served: it wires the rooms and passes signals on.
import ArgumentParser
import Configuration
import Glibc
import Measure
import Proxy
import RecordLog
import Transport

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Stand in front of an LLM server: forward every byte, record every token's time.",
    discussion: """
      Every setting can be given in a YAML file (--config, see config/tachograph.yaml), as an environment variable \
      (TACHOGRAPH_ and the setting's name in capitals: records.file is TACHOGRAPH_RECORDS_FILE), or as a flag; flags \
      win over the environment, which wins over the file. A wrong setting ends it with exit code 2 before anything is \
      served.

      SIGTERM or SIGINT drains: no new clients, open streams may end (timeouts.drain), every record is written, exit 0; \
      a second signal ends at once. SIGHUP opens the log anew, for rotation by rename.
      """)

  @Option(help: ArgumentHelp("The server to forward to, such as http://127.0.0.1:8000.", valueName: "url"))
  var upstream: String?

  @Option(
    help: ArgumentHelp(
      "Where clients connect; port 0 takes a free one. [default: 127.0.0.1:4141]", valueName: "address:port"))
  var listen: String?

  @Option(
    help: ArgumentHelp(
      "The file to append records to; - is standard output. [default: ./tachograph.jsonl]",
      discussion: "The secret of the keys' fingerprints is kept beside it, in tachograph.secret.", valueName: "file"))
  var records: String?

  @Option(help: ArgumentHelp("Event loops, each with a thread. [default: one a core]", valueName: "count"))
  var workers: String?

  @Option(help: ArgumentHelp("A YAML file of settings.", valueName: "file"))
  var config: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Any other setting, as named in the YAML file; repeatable.", valueName: "name=value"))
  var assignments: [String] = []

  func run() throws {
    OpenFiles.raiseLimit()
    let settings = try loadSettings()
    let instance = settings.instance ?? HostName.current
    let path = settings.records.file.path
    let writer: RecordWriter
    let secret: KeySecret
    do {
      secret = try KeySecret.load(beside: path)
      var log = RecordWriter.Settings(path: path, instance: instance)
      log.queueLimit = settings.records.queue
      writer = try RecordWriter(log)
    } catch {
      throw Self.failure("\(error)")
    }
    let server: ProxyServer
    do {
      server = try ProxyServer(
        settings: ProxySettings(settings, instance: instance), writer: writer, secret: secret)
    } catch {
      throw Self.failure("cannot listen on \(settings.listen): \(error)")
    }
    // Signals first: whoever reads that we listen may send one at once.
    try obeySignals(server, writer, drain: settings.timeouts.drain)
    StandardError.line("listening on \(server.address)")
    StandardError.line("forwarding to http://\(settings.upstream), records in \(path)")
    server.wait()
    // What was lost the writer says itself.
    _ = writer.close(timeoutMilliseconds: 5_000)
  }

  private func loadSettings() throws -> Settings {
    var loader = SettingsLoader()
    loader.addEnvironment(Environment.all)
    if let config {
      guard let contents = Self.read(config) else {
        throw Self.failure("cannot read \(config): \(unsafe String(cString: strerror(errno)))", code: 2)
      }
      loader.addFile(path: config, contents: contents)
    }
    var flags: [String: String] = [:]
    flags["upstream"] = upstream
    flags["listen"] = listen
    flags["records.file"] = records
    flags["workers"] = workers
    loader.addFlags(flags)
    loader.addAssignments(assignments)
    for warning in loader.warnings { StandardError.line("tachograph: \(warning)") }
    do {
      return try loader.load()
    } catch {
      throw Self.failure("\(error)", code: 2)
    }
  }

  /// Runs a loop of its own for signals on this thread's behalf, until the workers have ended.
  private func obeySignals(_ server: ProxyServer, _ writer: RecordWriter, drain: Duration) throws {
    let ready = Promise<Bool>()
    _ = try WorkerThread(name: "signals") {
      guard let loop = try? EventLoop() else { return ready.keep(false) }
      var isDraining = false
      let end = {
        if isDraining { return server.shutDown() }
        isDraining = true
        StandardError.line("draining: open exchanges have \(drain) to end; a second signal ends at once")
        server.drain()
      }
      _ = [
        SignalWatcher(loop: loop, signal: SIGTERM, end), SignalWatcher(loop: loop, signal: SIGINT, end),
        SignalWatcher(loop: loop, signal: SIGHUP) { writer.reopen() },
      ]
      ready.keep(true)
      loop.run()
    }
    guard ready.wait() else { throw Self.failure("no file descriptor left for the signal loop") }
  }

  private static func failure(_ message: String, code: Int32 = 1) -> any Error {
    for line in message.split(separator: "\n") { StandardError.line("tachograph: \(line)") }
    return ExitCode(code)
  }

  private static func read(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = unsafe block.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
      bytes.append(contentsOf: block.prefix(count))
    }
  }
}
