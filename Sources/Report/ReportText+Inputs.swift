// First tokens by the length of the input, a table and a line for each model.

extension ReportText {
  func inputs() -> [String] {
    guard summary.options.showsTTFTByInput else { return [] }
    let title = wrapped("TTFT BY INPUT TOKENS (ok exchanges; times in ms)")
    guard !summary.inputs.isEmpty else { return [""] + title + ["no exchange has both"] }
    return [""] + title + summary.inputs.flatMap { [""] + model($0) }
  }

  private func model(_ report: InputReport) -> [String] {
    let name = report.model.map(TerminalText.safe) ?? NumberText.unknown
    let states = CacheState.allCases.filter { state in report.rows.contains { $0[state] != nil } }
    let columns = states.flatMap { state -> [TextTable.Column] in
      let title = Self.title(state)
      return ["\(title) N", "P50", "P90", "P99"].enumerated().map {
        TextTable.Column(title: $0.element, staysWithPrevious: $0.offset > 0)
      }
    }
    var table = TextTable([TextTable.Column(title: "INPUT")] + columns)
    for row in report.rows {
      let cells = states.flatMap { state -> [String] in
        let percentiles = row[state]
        return [NumberText.whole(percentiles?.count), percentiles.text(50), percentiles.text(90), percentiles.text(99)]
      }
      table.add(["\(row.inputTokens.lowerBound)-\(row.inputTokens.upperBound)"] + cells)
    }
    return wrapped("\(name): \(Self.line(report))") + table.lines(within: self.columns)
  }

  private static func title(_ state: CacheState) -> String {
    switch state {
    case .cold: "COLD"
    case .warm: "WARM"
    case .unknown: "NOT SAID"
    }
  }

  /// The fitted line, in ms.
  private static func line(_ report: InputReport) -> String {
    guard let fit = report.fit else { return "no line can be fitted" }
    let tokens = fit.isUncached ? "uncached token" : "input token"
    let sign = fit.perToken < 0 ? "-" : "+"
    return
      "TTFT = \(NumberText.short(fit.fixed)) \(sign) \(NumberText.fixed(fit.perToken.magnitude, decimals: 4)) x \(tokens)s"
      + " (n \(NumberText.whole(fit.count)), R² \(NumberText.fixed(fit.rSquared, decimals: 2)))"
  }

  func inputFootnotes() -> [String] {
    guard !summary.inputs.isEmpty else { return [] }
    return [
      "COLD, WARM, NOT SAID: none of the input came from a cache, some of it did, the server did not say (cached_tokens)",
      "TTFT = a + b x tokens: least squares over the model's exchanges, cached tokens left out; where no exchange says them, "
        + "over all input tokens",
    ]
  }
}
