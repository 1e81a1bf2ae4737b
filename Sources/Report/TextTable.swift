// Cells into aligned lines.

/// A table of text. Columns are as wide as their widest cell, in terminal columns and not in characters.
struct TextTable {
  /// One column.
  struct Column {
    var title: String
    var alignRight = true
    /// Cells wider than this are cut.
    var maximumWidth = 40
    /// Whether it has no meaning without the column before it, and is kept beside that one.
    var staysWithPrevious = false
  }

  private let columns: [Column]
  private var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row: one cell per column. The cells must be safe already.
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The rows with a blank behind each number of a column in which another is marked as thin, so that their digits align.
  private var aligned: [[String]] {
    let hasMarks = columns.indices.map { index in
      columns[index].alignRight && rows.contains { $0[index].hasSuffix(NumberText.thinMark) }
    }
    return rows.map { cells in
      cells.indices.map { hasMarks[$0] && !cells[$0].hasSuffix(NumberText.thinMark) ? cells[$0] + " " : cells[$0] }
    }
  }

  /// The title line and the rows, none with spaces at its end. A table that is too wide for `terminalColumns` is split into
  /// parts, one below the other, each of which begins with the first column.
  func lines(within terminalColumns: Int? = nil) -> [String] {
    let titles = columns.map(\.title)
    let rows = aligned
    let widths = columns.indices.map { index in
      let widest = rows.reduce(TerminalText.width(titles[index])) { max($0, TerminalText.width($1[index])) }
      return min(widest, max(columns[index].maximumWidth, TerminalText.width(titles[index])))
    }
    let parts = parts(widths, within: terminalColumns ?? .max).map { indices in
      ([titles] + rows).map { cells in
        let line = indices.map { index in
          TerminalText.fit(cells[index], to: widths[index], alignRight: columns[index].alignRight)
        }.joined(separator: "  ")
        return Self.trimmed(line)
      }
    }
    return Array(parts.joined(separator: [""]))
  }

  /// The columns of each part: as many as fit, and at least one besides the first.
  private func parts(_ widths: [Int], within terminalColumns: Int) -> [[Int]] {
    var parts: [[Int]] = []
    var part = [0]
    var used = widths[0]
    var index = 1
    while index < columns.count {
      let end = columns.indices.first { $0 > index && !columns[$0].staysWithPrevious } ?? columns.count
      let needed = widths[index..<end].reduce(0) { $0 + 2 + $1 }
      if used + needed > terminalColumns, part.count > 1 {
        parts.append(part)
        part = [0]
        used = widths[0]
      }
      part += index..<end
      used += needed
      index = end
    }
    return parts + [part]
  }

  static func trimmed(_ line: String) -> String {
    var line = line[...]
    while line.last == " " { line.removeLast() }
    return String(line)
  }

  /// Blocks of lines side by side where they fit into `columns`, the others below, with an empty line between.
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

  static func width(_ block: [String]) -> Int { block.reduce(0) { max($0, TerminalText.width($1)) } }

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
