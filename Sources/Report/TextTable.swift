// Cells into aligned lines.
// It must not know what the cells say.

/// A table of text: columns as wide as their widest cell, by terminal columns and not by characters.
struct TextTable {
  /// One column.
  struct Column {
    var title: String
    var alignRight = true
    /// Cells wider than this are cut.
    var mostColumns = 40
  }

  private let columns: [Column]
  private var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row: a cell a column. The cells must be harmless already.
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The title line and the rows, none with spaces at its end.
  func lines() -> [String] {
    let titles = columns.map(\.title)
    let widths = columns.indices.map { place in
      let widest = rows.reduce(TerminalText.width(titles[place])) { max($0, TerminalText.width($1[place])) }
      return min(widest, max(columns[place].mostColumns, TerminalText.width(titles[place])))
    }
    return ([titles] + rows).map { cells in
      let line = columns.indices.map { place in
        TerminalText.fit(cells[place], to: widths[place], alignRight: columns[place].alignRight)
      }.joined(separator: "  ")
      return Self.trimmed(line)
    }
  }

  static func trimmed(_ line: String) -> String {
    var line = line[...]
    while line.last == " " { line.removeLast() }
    return String(line)
  }

  /// Blocks of lines side by side as far as `columns` reach, the rest below, with an empty line between rows of blocks.
  static func flow(_ blocks: [[String]], columns: Int) -> [String] {
    var lines: [String] = []
    var band: [[String]] = []
    for block in blocks {
      if !band.isEmpty, width(band + [block]) > columns {
        lines += sideBySide(band) + [""]
        band = []
      }
      band.append(block)
    }
    return lines + sideBySide(band)
  }

  private static func width(_ band: [[String]]) -> Int {
    band.reduce(0) { $0 + width($1) } + (band.count - 1) * gap.count
  }

  private static let gap = "    "

  private static func width(_ block: [String]) -> Int { block.reduce(0) { max($0, TerminalText.width($1)) } }

  private static func sideBySide(_ band: [[String]]) -> [String] {
    let height = band.reduce(0) { max($0, $1.count) }
    return (0..<height).map { row in
      let line = band.map { block in
        TerminalText.fit(row < block.count ? block[row] : "", to: max(width(block), 1))
      }.joined(separator: gap)
      return trimmed(line)
    }
  }
}
