// `tachograph report`: reads record logs and prints a summary.
import ArgumentParser
import Glibc
import RecordLog
import Report

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Sum up record logs: requests, tokens and latency percentiles per group.",
    discussion: """
      Per group: requests, outcomes, tokens, rates, and p50, p90, p99 and maximum of time to first token (TTFT), time \
      per output token (TPOT), tokens a second per user, time to last token (TTLT) and gaps; then latency and \
      throughput by how many exchanges were in flight.

      The distributions have only exchanges that ended ok. Waits that the client or a timeout ended before the first \
      token are shown beside TTFT as censored: without them the slowest requests would be missing.

      By user and by session a table says who waited, who gave up and when, who was cut off, and what was made for nobody; \
      by session also what lay between the turns.

      A percentile of fewer than 5 / (1 - p) values is marked *: it is thin.

      Percentiles come from HDR histograms (three significant digits), never from averaged percentiles. A record has \
      only the percentiles of its own gaps, so the report shows their distribution over the exchanges; that of all \
      gaps is shown only where the records have timelines.

      Memory is bounded, however large the log is. If there are very many groups, the largest are kept and the \
      smallest are summed as (other).

      Logs that are compressed with gzip or zstd are read as they are, whatever they are called.

      A log that cannot be read ends the command with exit code 2; torn lines are skipped and counted in a note.
      """)

  @Argument(
    help: ArgumentHelp(
      "The logs to read, in any order; - is standard input. Default: tachograph.jsonl", valueName: "file"),
    completion: .file())
  var files: [String] = []

  @Option(help: "How exchanges are grouped; model is the requested one.")
  var by = ReportGrouping.model

  @OptionGroup var times: TimeOptions

  @Option(
    name: .customLong("where"),
    help: ArgumentHelp(
      "Count only exchanges whose record meets this; repeat it for several conditions, all of which have to be met.",
      discussion: """
        KEY=VALUE or KEY!=VALUE, with a key of the record: outcome=ok, path=/v1/chat/completions, status!=200. A * at the \
        end stands for anything (path=/v1/*), null for what is not known, and "null" in quotes for the word.
        """, valueName: "condition"),
    transform: Self.condition)
  var conditions: [RecordCondition] = []

  @Option(
    help: ArgumentHelp(
      "Show goodput: the share of exchanges within this objective, both parts at once.",
      discussion: "Takes ttft=500ms,tpot=30ms, one part of it, or a limit of MLPerf Inference (v6.1, datacenter): "
        + MLPerfLimits.all.map { "\($0.name) (\($0.level.text))" }.joined(separator: ", ") + ".",
      valueName: "objective"),
    transform: Self.objective)
  var slo: Objective?

  @Option(
    help: ArgumentHelp(
      "Show TTFT by the length of the input, cold and warm, and its line TTFT = a + b x uncached tokens, per model.",
      valueName: "what"))
  var ttftBy: TTFTKey?

  @Flag(
    help: """
      Have a front end's own calls (task: titles, tags) in the distributions and in goodput, too. Without it they are \
      counted, and no more.
      """)
  var includeTasks = false

  @Option(
    help: ArgumentHelp(
      "Show the largest groups, so many, and sum the others.",
      discussion: "Default: 20; with --json all groups that are kept.", valueName: "count"))
  var top: Int?

  @Flag(help: "Write one JSON object with every number unrounded (Sources/Report/README.md names its keys).")
  var json = false

  @Flag(
    help: ArgumentHelp(
      "Compare what servers say of their own times with the wire, per model and upstream.",
      discussion: "In place of the other tables; --by and --top do not apply."))
  var server = false

  func validate() throws {
    if let top, top < 0 { throw ValidationError("--top takes 0 or more.") }
  }

  func run() throws {
    Terminal.ignoreBrokenPipe()
    if server { return try compareServers() }
    let empty = ReportTally(by: by, within: times.window, where: conditions, options: options)
    let tally: ReportTally
    do {
      let scan = try ReportScan(paths: files.isEmpty ? ["tachograph.jsonl"] : files)
      let progress = TerminalProgress(totalBytes: scan.byteCount)
      defer { progress.clear() }
      tally = try scan.run(into: empty, threads: Self.threads) { progress.add($0) }
    } catch {
      throw CommandFailure.unreadable(error)
    }
    if !Terminal.write(rendered(tally)) { try CommandFailure.unwritten() }
  }

  private func compareServers() throws {
    var comparison = ServerComparison(within: times.window, where: conditions)
    do {
      try comparison.read(paths: files.isEmpty ? ["tachograph.jsonl"] : files)
    } catch {
      throw CommandFailure.unreadable(error)
    }
    let columns = Terminal.size(STDOUT_FILENO)?.columns
    let text = json ? comparison.json : comparison.lines(columns: columns).joined(separator: "\n") + "\n"
    if !Terminal.write(text) { try CommandFailure.unwritten() }
  }

  private var options: ReportOptions {
    var options = ReportOptions()
    options.objective = slo
    options.includesTasks = includeTasks
    options.showsTTFTByInput = ttftBy != nil
    return options
  }

  private func rendered(_ tally: ReportTally) -> String {
    let summary = ReportSummary(tally, top: top ?? (json ? .max : 20))
    if json { return summary.json(time: TerminalTime.rfc3339) }
    let columns = Terminal.size(STDOUT_FILENO)?.columns
    let text = ReportText(summary, columns: columns, time: TerminalTime.local(nanoseconds:))
    return text.lines().joined(separator: "\n") + "\n"
  }

  /// More than four would wait for the disk, and each needs memory of its own.
  private static var threads: Int { min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1), 4) }

  @Sendable private static func objective(_ text: String) throws -> Objective {
    guard let objective = Objective(text) else {
      throw ValidationError(
        "\"\(text)\" is no objective: write ttft=500ms,tpot=30ms, or one of "
          + MLPerfLimits.all.map(\.name).joined(separator: ", "))
    }
    return objective
  }

  @Sendable private static func condition(_ text: String) throws -> RecordCondition {
    do throws(RecordCondition.Invalid) { return try RecordCondition(text) } catch {
      throw ValidationError(error.description)
    }
  }
}

/// What first tokens can be shown by.
enum TTFTKey: String, CaseIterable, ExpressibleByArgument {
  case input
}

extension ReportGrouping: ExpressibleByArgument {}
