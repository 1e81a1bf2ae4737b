// `tachograph tail`: follows a record log and shows one line for each exchange.
import ArgumentParser
import Glibc
import Logging
import RecordLog
import Report

struct TailCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tail",
    abstract: "Follow the record log, one aligned line for each exchange.",
    discussion: """
      Each line shows an exchange when it ends: local time of its start, user, model, outcome, time to first token, \
      time per output token, output tokens, tokens per second while it streamed, and its gaps.

      GAPS are four blocks for the median, p90, p99 and longest gap between tokens of that exchange, on a scale that \
      is the same for all lines: ▁ is 1 ms or less, each step up is 3.7 times as long, █ is 10 s or more. \
      A * behind them: the stream has so few gaps that p99, or more, is thin (10 for the median, 50 for p90, 500 for p99).

      >812 under TTFT means that the client or a timeout ended the exchange before its first token, after 812 ms. ≥40 \
      under TOKENS means that tokens were counted by events: there were at least 40. – means not known.

      The log is followed across rotation (rename and copytruncate) and need not exist yet. Control characters in \
      names are written as \\x1b. Ctrl-C ends it with exit code 0.
      """)

  @Argument(
    help: "The log to follow; - is standard input. A named pipe is followed too.", completion: .file())
  var file = "tachograph.jsonl"

  @Option(help: ArgumentHelp("Show only exchanges of exactly this user.", valueName: "user"))
  var user: String?

  @Option(help: ArgumentHelp("Show only exactly this model, as requested or as in the response.", valueName: "model"))
  var model: String?

  @Option(
    help: ArgumentHelp(
      "Show only exchanges with a time to first token of at least so many milliseconds.",
      discussion: "One that ended before its first token is shown if it had waited as long.", valueName: "ttft-ms"))
  var slow: Double?

  @OptionGroup var times: TimeOptions

  @Option(
    name: [.customShort("n"), .long],
    help: ArgumentHelp(
      "How many of the last lines of the log to begin with.",
      discussion:
        "They are counted before the other options are applied. Default: 10; with --since all lines of the log.",
      valueName: "count"))
  var lines: Int?

  @Flag(
    name: [.customShort("f"), .long], inversion: .prefixedNo,
    help: "Wait for new lines at the end of the log, or end there.")
  var follow = true

  @Option(help: "Colours; auto is on a terminal only, unless NO_COLOR is set.")
  var color = ColourChoice.auto

  func validate() throws {
    if let lines, lines < 0 { throw ValidationError("--lines takes 0 or more.") }
    if let slow, !(slow >= 0) { throw ValidationError("--slow takes a number of milliseconds, 0 or more.") }
  }

  func run() throws {
    Terminal.ignoreBrokenPipe()
    Terminal.endCleanlyWhenInterrupted()
    let filter = TailFilter(
      user: user, model: model, slowestFromMilliseconds: slow, window: times.window)
    var screen = TailScreen(filter: filter, isColoured: color.isColoured(STDOUT_FILENO))
    let follower = RecordFollower(path: file, lastLines: lines ?? (times.since == nil ? 10 : .max))
    do {
      try show(follower, on: &screen)
    } catch let error as RecordReadError {
      throw CommandFailure.unreadable(error)
    }
    screen.note(tornLines: follower.tornLines + follower.overlongLines)
  }

  private func show(_ follower: RecordFollower, on screen: inout TailScreen) throws {
    var hasSaidThatItWaits = false
    while true {
      let step = try follower.step { screen.take($0) }
      guard screen.flush() else { return try CommandFailure.unwritten() }
      switch step {
      case .advanced: continue
      case .idle where follow:
        if !follower.isOpen, !hasSaidThatItWaits {
          hasSaidThatItWaits = true
          Log.standardError.info("waiting for \(file)")
        }
        guard follower.wait(milliseconds: 100, watching: STDOUT_FILENO) else { return }
      case .idle where !follower.isOpen:
        throw RecordReadError.system(path: file, call: "open", errno: ENOENT)
      case .idle where file == RecordReader.standardInput:
        // Standard input is read to its end also without --follow.
        guard follower.wait(milliseconds: 100, watching: STDOUT_FILENO) else { return }
      case .idle, .ended:
        follower.finish { screen.take($0) }
        if !screen.flush() { try CommandFailure.unwritten() }
        return
      }
    }
  }
}

/// The output: lines, a header line for each screenful, and counts of skipped lines.
private struct TailScreen {
  private static let columnsWithoutTerminal = 160
  private let filter: TailFilter
  private let isColoured: Bool
  private let parser = RecordParser()
  private var columns = 0
  private var renderer = TailLine(terminalColumns: columnsWithoutTerminal, isColoured: false)
  private var linesUntilTitle = 0
  private var output = ""
  private var unreadableLines = 0
  private var otherVersionLines = 0

  init(filter: TailFilter, isColoured: Bool) {
    self.filter = filter
    self.isColoured = isColoured
  }

  mutating func take(_ line: RawSpan) {
    switch parser.parse(line) {
    case .record(let record):
      guard filter.matches(record) else { return }
      show { $0.line(record, time: TerminalTime.clock(record.timestampNanoseconds)) }
    case .dropped(let count, let time): show { $0.dropNotice(count: count, time: time.map(TerminalTime.clock)) }
    case .otherVersion: otherVersionLines += 1
    case .unreadable: unreadableLines += 1
    }
  }

  private mutating func show(_ render: (TailLine) -> String) {
    let size = Terminal.size(STDOUT_FILENO)
    let columnsNow = size?.columns ?? Self.columnsWithoutTerminal
    if columnsNow != columns {
      columns = columnsNow
      renderer = TailLine(terminalColumns: columns, isColoured: isColoured)
      linesUntilTitle = 0
    }
    if linesUntilTitle == 0 {
      output += renderer.header + "\n"
      // A pipe or a file gets one header only.
      linesUntilTitle = size.map { max($0.rows - 2, 5) } ?? .max
    }
    linesUntilTitle -= 1
    output += render(renderer) + "\n"
  }

  /// - Returns: false where the reader has gone.
  mutating func flush() -> Bool {
    defer { output.removeAll(keepingCapacity: true) }
    return output.isEmpty || Terminal.write(output)
  }

  func note(tornLines: Int) {
    let unreadable = unreadableLines + tornLines
    if unreadable > 0 { Log.standardError.warning("lines skipped: cut off, or not a record: \(unreadable)") }
    if otherVersionLines > 0 {
      Log.standardError.warning("lines skipped: records of another version: \(otherVersionLines)")
    }
  }
}
