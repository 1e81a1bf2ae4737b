// What it was like for whom: who waited, who gave up, who was cut off, and who got what was promised.

extension ReportText {
  /// Whether the table is shown: where groups are people or conversations, and where something was promised.
  private var showsService: Bool {
    summary.grouping == .user || summary.grouping == .session || summary.options.objective != nil
  }

  func service() -> [String] {
    guard showsService else { return [] }
    let isSession = summary.grouping == .session
    let hasObjective = summary.options.objective != nil
    let hasDeadlines = summary.all.onTime != nil
    var titles = ["WAITED", "GAVE UP", "NO TOKEN", "AFTER P50", "CUT OFF", "TOKENS LOST", "TOK/S P50"]
    if hasObjective { titles.append("IN SLO") }
    if hasDeadlines { titles.append("ON TIME") }
    if isSession { titles += ["TURNS", "BETWEEN P50", "TOOLS P50", "VISIBLE P50"] }
    var table = TextTable([nameColumn] + titles.map { TextTable.Column(title: $0) })
    for group in rows {
      var cells = [
        name(group), NumberText.duration(seconds: group.waitedSeconds), NumberText.whole(group.gaveUp),
        NumberText.whole(group.gaveUpWaiting), group[.timeToGiveUp].text(50), NumberText.whole(group.cutOff),
        NumberText.whole(group.undeliveredTokens), group[.tokensPerSecond].text(50),
      ]
      if hasObjective { cells.append(NumberText.percent(group.goodput?.share)) }
      if hasDeadlines { cells.append(NumberText.percent(group.onTime?.share)) }
      if isSession {
        cells += [
          NumberText.whole(group.turns), group[.betweenTurns].text(50), group[.toolWait].text(50),
          group[.firstVisible].text(50),
        ]
      }
      table.add(cells)
    }
    return [""] + wrapped("WAITING AND LEAVING (times in ms)") + table.lines(within: columns)
  }

  func serviceFootnotes() -> [String] {
    guard showsService else { return [] }
    var lines = [
      "WAITED: until the first token, or in vain, all exchanges together; GAVE UP: the client left, NO TOKEN: before its "
        + "first token, AFTER P50: the median time to give up",
      "CUT OFF: the answer had begun and was not whole, by the server's or the proxy's doing; TOKENS LOST: made for clients "
        + "that had left",
    ]
    if let objective = summary.options.objective, let goodput = summary.all.goodput {
      let level = objective.text == objective.level.text ? "" : " (\(objective.level.text))"
      lines.append(
        "IN SLO: goodput, the share of exchanges within \(objective.text)\(level), both at once; of \(NumberText.whole(goodput.judged)) "
          + "exchanges. What the server failed at is not within; \(NumberText.whole(goodput.unknown)) are left out, as nobody "
          + "can tell (not streamed, left in time, or a wrong request)")
    }
    if let onTime = summary.all.onTime {
      lines.append(
        "ON TIME: the share with no token late, by the objective (slo.*) under which each was recorded; of "
          + "\(NumberText.whole(onTime.judged)) exchanges")
    }
    return lines
  }
}
