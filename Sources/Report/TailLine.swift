// One exchange as one aligned line, and the title line above them.
import Measurement

/// Renders a tail's lines for a terminal of a given width.
public struct TailLine: Sendable {
  private let isColoured: Bool
  private let columns: [TailColumn]

  /// - Parameters:
  ///   - terminalColumns: the terminal's width. The columns that matter least are left out until the line fits; names
  ///     get the width that is left.
  ///   - isColoured: whether to write SGR colour sequences.
  public init(terminalColumns: Int, isColoured: Bool) {
    self.isColoured = isColoured
    columns = Self.layout(terminalColumns)
  }

  /// The title line.
  public var header: String {
    let text = columns.map { TerminalText.fit($0.kind.title, to: $0.width, alignRight: $0.kind.alignRight) }
    return coloured(TextTable.trimmed(text.joined(separator: " ")), .dim)
  }

  /// One exchange. `time` is its wall time as `HH:MM:SS.mmm`.
  public func line(_ record: ExchangeRecord, time: String) -> String {
    let cells = columns.map { column -> String in
      if column.kind == .gaps { return gaps(record) }
      let text = TerminalText.safe(column.kind.text(record, time: time, columns: column.width))
      return coloured(
        TerminalText.fit(text, to: column.width, alignRight: column.kind.alignRight), column.kind.colour(record))
    }
    return TextTable.trimmed(cells.joined(separator: " "))
  }

  /// The writer's notice of records it dropped.
  public func dropNotice(count: Int, time: String?) -> String {
    let when = time.map { "\($0) " } ?? ""
    return coloured(
      "\(when)\(NumberText.whole(count)) records are missing: dropped because the log could not be written fast enough",
      .red)
  }

  /// The gaps' p50, p90, p99 and maximum as four blocks from 1 ms to 10 s, so that lines compare. Behind them is a mark where
  /// one of the percentiles is of too few gaps.
  private func gaps(_ record: ExchangeRecord) -> String {
    guard let gaps = record.gapsMilliseconds else { return TerminalText.fit(NumberText.unknown, to: 5) }
    let blocks = [gaps.p50, gaps.p90, gaps.p99, gaps.max].map { milliseconds in
      let level = Sparkline.level(ofMilliseconds: milliseconds)
      return coloured(String(Sparkline.block(level)), level < 4 ? .green : level < 6 ? .yellow : .red)
    }.joined()
    let isThin = record.events.map { Percentiles.isThin(99, of: max($0 - (record.choices ?? 1), 0)) } ?? false
    return blocks + (isThin ? coloured(NumberText.thinMark, .dim) : " ")
  }

  private func coloured(_ text: String, _ colour: TailColour) -> String {
    isColoured && colour != .plain ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
  }

  private static func layout(_ terminalColumns: Int) -> [TailColumn] {
    var columns = TailColumn.Kind.allCases.map { TailColumn(kind: $0, width: $0.width) }
    func needed() -> Int { columns.reduce(columns.count - 1) { $0 + $1.width } }
    for removed in TailColumn.Kind.removalOrder where needed() > terminalColumns {
      columns.removeAll { $0.kind == removed }
    }
    var spare = max(terminalColumns - needed(), 0)
    for kind in TailColumn.Kind.growthOrder {
      guard let index = columns.firstIndex(where: { $0.kind == kind }) else { continue }
      let added = min(kind.maximumWidth - kind.width, spare)
      // Milliseconds are shown whole or not at all.
      guard kind != .time || added == kind.maximumWidth - kind.width else { continue }
      columns[index].width += added
      spare -= added
    }
    return columns
  }
}

/// SGR parameters.
enum TailColour: String {
  case plain = ""
  case dim = "2"
  case red = "31"
  case green = "32"
  case yellow = "33"
  case blue = "34"
  case cyan = "36"
}
