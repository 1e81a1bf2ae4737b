// A report as lines of text for people, with the meaning of each number below.
import Measurement

/// Renders reports as text.
public struct ReportText {
  /// How wide tables side by side may be where there is no terminal.
  private static let columnsWithoutTerminal = 120

  let summary: ReportSummary
  let columns: Int?
  private let time: (Int64) -> String

  /// - Parameters:
  ///   - columns: the terminal's width. Tables stand side by side where they fit, and longer lines are broken. Nil
  ///     where there is no terminal: no line is broken then.
  ///   - time: wall nanoseconds since 1970 as a person reads them.
  public init(_ summary: ReportSummary, columns: Int?, time: @escaping (Int64) -> String) {
    self.summary = summary
    self.columns = columns
    self.time = time
  }

  /// The whole report.
  public func lines() -> [String] {
    let first = wrapped(headline) + [""]
    guard summary.all.requests > 0 else { return first + notes.flatMap(wrapped) }
    let tables = traffic() + service() + [""] + distributions() + inFlight() + inputs()
    return first + tables + [""] + (footnotes() + notes).flatMap(wrapped)
  }

  /// A sentence in lines that fit.
  func wrapped(_ text: String) -> [String] {
    TerminalText.wrapped(text.split(separator: " ").map(String.init), to: columns ?? .max, indent: "  ")
  }

  var rows: [ReportGroup] { [summary.all] + summary.groups + (summary.other.map { [$0] } ?? []) }

  private var headline: String {
    let conditions = summary.conditions.map { " where " + TerminalText.safe($0) }.joined(separator: " and")
    guard let span = summary.span else {
      return "no exchanges\(conditions)" + (summary.reading.records > 0 ? " in that time" : "")
    }
    let count = summary.all.requests == 1 ? "1 exchange" : "\(NumberText.whole(summary.all.requests)) exchanges"
    let length = summary.spanSeconds.map { " (\(NumberText.duration(seconds: $0)))" } ?? ""
    return "\(count)\(conditions), \(time(span.lowerBound)) to \(time(span.upperBound))\(length)"
  }

  func name(_ group: ReportGroup) -> String {
    switch group.name {
    case .all: "all"
    case .key(let key?): Self.looksLikeOwnWord(key) ? "\"\(TerminalText.safe(key))\"" : TerminalText.safe(key)
    case .key(nil): NumberText.unknown
    case .other(let keys, let hasUncountedKeys): "(other: \(hasUncountedKeys ? "over " : "")\(NumberText.whole(keys)))"
    }
  }

  /// Whether a key could be taken for a row that is no key, or for nothing. It is shown in quotes then.
  private static func looksLikeOwnWord(_ key: String) -> Bool {
    key == "all" || key == NumberText.unknown || key.hasPrefix("(other:") || key.hasPrefix("\"")
      || key.allSatisfy(\.isWhitespace)
  }

  var nameColumn: TextTable.Column {
    TextTable.Column(title: summary.grouping.rawValue.uppercased(), alignRight: false, maximumWidth: 32)
  }

  private func traffic() -> [String] {
    let others = rows.map { group in
      group.outcomes.filter { $0.outcome != .ok }.map { "\($0.outcome.rawValue) \(NumberText.whole($0.count))" }
    }
    if others.allSatisfy(\.isEmpty) { return traffic(outcomes: nil).lines(within: columns) }
    let whole = traffic(outcomes: others.map { $0.joined(separator: ", ") }).lines()
    guard let columns, TextTable.width(whole) > columns else { return whole }
    return traffic(outcomes: nil).lines(within: columns) + [""] + outcomes(others, within: columns)
  }

  /// - Parameter outcomes: the last column's text of each row; nil leaves the column out.
  private func traffic(outcomes: [String]?) -> TextTable {
    var table = TextTable(
      [nameColumn]
        + ["REQUESTS", "REQ/S", "OK", "TOKENS IN", "TOKENS OUT", "OUT TOK/S"].map { TextTable.Column(title: $0) }
        + (outcomes == nil ? [] : [Self.outcomeColumn]))
    for (index, group) in rows.enumerated() {
      let ok = group.outcomes.first { $0.outcome == .ok }?.count ?? 0
      table.add(
        [
          name(group), NumberText.whole(group.requests), NumberText.short(group.requestsPerSecond),
          NumberText.whole(ok), NumberText.whole(group.inputTokens), NumberText.whole(group.outputTokens),
          NumberText.short(group.outputTokensPerSecond),
        ] + (outcomes.map { [$0[index]] } ?? []))
    }
    return table
  }

  private static let outcomeColumn = TextTable.Column(title: "OTHER OUTCOMES", alignRight: false, maximumWidth: .max)

  /// The other outcomes in a table of their own, without the groups that had none; each group's in as many lines as needed.
  private func outcomes(_ others: [[String]], within columns: Int) -> [String] {
    var table = TextTable([nameColumn, Self.outcomeColumn])
    let shown = zip(rows, others).filter { !$0.1.isEmpty }
    let names = TextTable.width([nameColumn.title] + shown.map { name($0.0) })
    let available = columns - min(names, max(nameColumn.maximumWidth, nameColumn.title.count)) - 2
    for (group, items) in shown {
      // An outcome and its count stay together.
      let listed = items.dropLast().map { $0 + "," } + items.suffix(1)
      for (index, line) in TerminalText.wrapped(listed, to: available).enumerated() {
        table.add([index == 0 ? name(group) : "", line])
      }
    }
    return table.lines()
  }

  private func distributions() -> [String] {
    TextTable.flow(ReportMetric.allCases.compactMap(block), columns: columns ?? Self.columnsWithoutTerminal)
  }

  /// One metric's table, without groups that have no value; nil where no group has one.
  private func block(_ metric: ReportMetric) -> [String]? {
    guard summary.all[metric] != nil else { return nil }
    // A censored wait means "at least so long": its upper percentiles would claim more than is known.
    let isCensored = metric == .censoredWait
    let titles = isCensored ? ["N", "P50", "MAX"] : ["N", "P50", "P90", "P99", "MAX"]
    var table = TextTable([nameColumn] + titles.map { TextTable.Column(title: $0) })
    for group in rows {
      guard let percentiles = group[metric] else { continue }
      let tail = isCensored ? [] : [percentiles.text(90), percentiles.text(99)]
      table.add(
        [name(group), NumberText.whole(percentiles.count), percentiles.text(50)] + tail
          + [NumberText.short(percentiles.max)])
    }
    return [metric.title] + table.lines(within: columns)
  }

  private func inFlight() -> [String] {
    guard !summary.inFlight.isEmpty else { return [] }
    let bar = 12
    let slowest = summary.inFlight.compactMap { $0.ttft?.p50 }.max() ?? 0
    let most = summary.inFlight.compactMap(\.estimatedTokensPerSecond).max() ?? 0
    var table = TextTable(
      ["IN FLIGHT", "OK"].map { TextTable.Column(title: $0) }
        + Self.withBar("TTFT P50", "P90", "P99")
        + ["TPOT P50", "TOK/S PER USER P50"].map { TextTable.Column(title: $0) }
        + Self.withBar("~TOK/S TOGETHER"))
    for row in summary.inFlight {
      let range = row.inFlight
      table.add([
        range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)",
        NumberText.whole(row.exchanges), row.ttft.text(50), row.ttft.text(90),
        row.ttft.text(99), Self.bar(row.ttft?.p50, of: slowest, columns: bar),
        row.tpot.text(50), row.tokensPerSecond.text(50),
        NumberText.short(row.estimatedTokensPerSecond), Self.bar(row.estimatedTokensPerSecond, of: most, columns: bar),
      ])
    }
    let title = "BY EXCHANGES IN FLIGHT AT DISPATCH (ok exchanges; times in ms)"
    return [""] + wrapped(title) + table.lines(within: columns)
  }

  /// Numbers of which only the first one's title has the metric, and a bar behind them.
  private static func withBar(_ titles: String...) -> [TextTable.Column] {
    titles.enumerated().map { TextTable.Column(title: $1, staysWithPrevious: $0 > 0) }
      + [TextTable.Column(title: "", alignRight: false, staysWithPrevious: true)]
  }

  private static func bar(_ value: Double?, of most: Double, columns: Int) -> String {
    guard let value, most > 0 else { return "" }
    return Sparkline.bar(value / most, columns: columns)
  }
}

// What the numbers mean, and what to be careful about.
extension ReportText {
  private func footnotes() -> [String] {
    var lines = [
      "REQ/S, OUT TOK/S: over the time in the first line for every group, so that the rows add up",
      "P50 P90 P99 MAX: from HDR histograms, within 0.1 %; MAX exact; \(NumberText.unknown) is not known",
    ]
    if hasThinPercentiles { lines.append(Self.thinFootnote) }
    lines += serviceFootnotes() + inputFootnotes()
    for metric in ReportMetric.allCases where summary.all[metric] != nil {
      // The three tables of an exchange's own gaps share one explanation.
      if metric == .gapP99 || metric == .gapMax { continue }
      let title = metric == .gapP50 ? "EACH EXCHANGE'S … GAP" : Self.withoutUnit(metric.title)
      lines.append("\(title): \(metric.explanation)")
    }
    if !summary.inFlight.isEmpty {
      lines.append(
        "~TOK/S TOGETHER: an estimate by Little's law (in flight x tokens / total time); "
          + "it assumes that the number in flight stays as it was at dispatch")
    }
    return lines
  }

  private var hasThinPercentiles: Bool {
    let shown = rows.flatMap { group in ReportMetric.allCases.compactMap { group[$0] } }
    let inFlight = summary.inFlight.flatMap { [$0.ttft, $0.tpot, $0.tokensPerSecond].compactMap(\.self) }
    let inputs = summary.inputs.flatMap(\.rows).flatMap { row in CacheState.allCases.compactMap { row[$0] } }
    return (shown + inFlight + inputs).contains { !$0.thin.isEmpty }
  }

  static let thinFootnote =
    "\(NumberText.thinMark): a thin percentile, of fewer than 5 / (1 - p) values (10 for P50, 50 for P90, 500 for P99): "
    + "the next few may move it"

  private static func withoutUnit(_ title: String) -> String {
    title.hasSuffix(", ms") ? String(title.dropLast(4)) : title
  }

  private var notes: [String] {
    let (all, reading) = (summary.all, summary.reading)
    let remarks: [(String, Int)] = [
      ("exchanges without a count of input tokens, not in the sums", all.requests - all.withInputTokens),
      ("exchanges without a count of output tokens, not in the sums", all.requests - all.withOutputTokens),
      ("exchanges whose output tokens were counted by events: the true number may be higher", all.lowerBounds),
      ("ok exchanges with a slow client: their times after a pause are late", all.stalled),
      (
        "exchanges that are a front end's own (titles, tags): counted above, but not in the distributions, unless "
          + "--include-tasks is given", summary.options.includesTasks ? 0 : all.tasks
      ),
      ("ok exchanges whose own P99 is of fewer than 500 gaps, so that it is thin", all.thinGapP99),
      ("ok exchanges whose own P50 is of fewer than 10 gaps, so that it is thin", all.thinGapP50),
      ("requests that overlap an earlier turn of their session: no time lies between", all.overlappingTurns),
      ("exchanges of further models, not shown by input", summary.inputsLeftOut),
      ("lines skipped: cut off, or not a record", reading.unreadableLines),
      ("lines skipped: records of another version, which a newer tachograph may read", reading.otherVersionLines),
      ("records missing above: dropped because the log could not be written fast enough", reading.droppedRecords),
    ]
    return remarks.filter { $0.1 > 0 }.map { "note: \($0.0): \(NumberText.whole($0.1))" }
  }
}
