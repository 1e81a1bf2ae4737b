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
    /// Whether it means nothing without the column before it, and stays beside that one.
    var belongsToLast = false
  }

  private let columns: [Column]
  private var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// Adds a row: a cell a column. The cells must be harmless already.
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The title line and the rows, none with spaces at its end. What is too wide for `terminalColumns` stands in parts, one
  /// below the other, each of which begins with the first column.
  func lines(within terminalColumns: Int? = nil) -> [String] {
    let titles = columns.map(\.title)
    let widths = columns.indices.map { place in
      let widest = rows.reduce(TerminalText.width(titles[place])) { max($0, TerminalText.width($1[place])) }
      return min(widest, max(columns[place].mostColumns, TerminalText.width(titles[place])))
    }
    let parts = parts(widths, within: terminalColumns ?? .max).map { places in
      ([titles] + rows).map { cells in
        let line = places.map { place in
          TerminalText.fit(cells[place], to: widths[place], alignRight: columns[place].alignRight)
        }.joined(separator: "  ")
        return Self.trimmed(line)
      }
    }
    return Array(parts.joined(separator: [""]))
  }

  /// The columns of each part: as many as there is room for, and at least one besides the first.
  private func parts(_ widths: [Int], within terminalColumns: Int) -> [[Int]] {
    var parts: [[Int]] = []
    var part = [0]
    var used = widths[0]
    var place = 1
    while place < columns.count {
      let end = columns.indices.first { $0 > place && !columns[$0].belongsToLast } ?? columns.count
      let needed = widths[place..<end].reduce(0) { $0 + 2 + $1 }
      if used + needed > terminalColumns, part.count > 1 {
        parts.append(part)
        part = [0]
        used = widths[0]
      }
      part += place..<end
      used += needed
      place = end
    }
    return parts + [part]
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
