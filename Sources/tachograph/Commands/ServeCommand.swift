// `tachograph serve`: the proxy itself, from its settings to its last record.
// It must not know how requests are served: it wires the rooms and passes signals on.
import Admin
import ArgumentParser
import Configuration
import Glibc
import Logging
import Measurement
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
      a second signal ends at once. SIGUSR1 opens the log anew, for rotation by rename; SIGHUP does that and has the \
      settings read again: what is wrong with them is said on standard error and changes nothing.

      Sockets that systemd hands down (LISTEN_FDS) are listened on in place of --listen.
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

  @Option(
    help: ArgumentHelp(
      "Where /metrics and /-/ready are served; a port alone is one of this machine only. [default: off]",
      valueName: "address:port"))
  var admin: String?

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
    // A log that is rotated while we start must not end us; both are obeyed once there is something to reopen.
    for number in [SIGHUP, SIGUSR1] { _ = signal(number, SIG_IGN) }
    let inherited = try takeInherited()
    let configuration = try configure()
    let settings = configuration.settings
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
    let admin = ServeAdmin(configuration: configuration)
    let adminServer: AdminServer?
    do {
      adminServer = try admin.start()
    } catch {
      throw Self.failure("cannot listen on \(settings.admin.listen?.description ?? "") for the admin pages: \(error)")
    }
    let server: ProxyServer
    do {
      server = try ProxyServer(
        settings: ProxySettings(settings, instance: instance), writer: writer, secret: secret, inherited: inherited)
    } catch {
      throw Self.failure("cannot listen on \(settings.listen): \(error)")
    }
    admin.serves(server)
    // Signals first: whoever reads that we listen may send one at once.
    let signals = ServeSignals(configuration: configuration, server: server, writer: writer, instance: instance)
    guard try signals.obey() else { throw Self.failure("no file descriptor left for the signal loop") }
    if let adminServer { Log.standardError.info("admin pages on http://\(adminServer.address)/") }
    Log.standardError.info("listening on \(server.address)\(inherited.isEmpty ? "" : ", on the sockets in LISTEN_FDS")")
    Log.standardError.info("forwarding to http://\(settings.upstream), writing records to \(path)")
    server.wait()
    // What was lost the writer says itself.
    _ = writer.close(timeoutMilliseconds: 5_000)
    // Last, so that the end can be watched.
    adminServer?.stop()
  }

  /// Sockets that were handed down are listened on in place of `listen`.
  private func takeInherited() throws -> [ListeningSocket] {
    do {
      return try InheritedSockets.take()
    } catch {
      throw Self.failure(error.description, code: 2)
    }
  }

  private func configure() throws -> ServeConfiguration {
    var flags: [String: String] = [:]
    flags["upstream"] = upstream
    flags["listen"] = listen
    flags["records.file"] = records
    flags["workers"] = workers
    flags["admin.listen"] = admin
    do {
      let configuration = try ServeConfiguration(file: config, flags: flags, assignments: assignments)
      for warning in configuration.warnings { Log.standardError.warning("\(warning)") }
      return configuration
    } catch {
      throw Self.failure(error.description, code: 2)
    }
  }

  private static func failure(_ message: String, code: Int32 = 1) -> any Error {
    for line in message.split(separator: "\n") { Log.standardError.error("\(line)") }
    return ExitCode(code)
  }
}
