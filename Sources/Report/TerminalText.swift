// Text from a log made safe for a terminal, and its width.

/// Text as a terminal shows it. Whoever sends a request names its user and model: such a name must neither control the
/// terminal nor break a table.
public enum TerminalText {
  /// More than any name needs; a longer text is cut before anything else is done with it.
  static let maximumScalars = 512

  /// `text` with every character that controls a terminal written out: control characters (C0, C1, DEL),
  /// line and paragraph separators, direction marks and other invisible formatting, as `\x1b` or `\u{202e}`.
  public static func safe(_ text: String) -> String {
    var safe = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index == maximumScalars { return safe + "…" }
      if isHarmless(scalar) { safe.unicodeScalars.append(scalar) } else { safe += escaped(scalar) }
    }
    return safe
  }

  private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
    if (0x20...0x7E).contains(scalar.value) { return true }
    // Joiners have no width and change only their neighbours: Persian and emoji need them.
    if scalar.value == 0x200C || scalar.value == 0x200D { return true }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return false
    default: return true
    }
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    return scalar.value <= 0xFF ? "\\x" + (digits.count < 2 ? "0" + digits : digits) : "\\u{\(digits)}"
  }

  /// The width of `text` in terminal columns.
  public static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

  /// Columns of one character: 2 for East Asian wide ones and emoji (Unicode UAX #11), 0 for a mark that stands alone.
  private static func width(_ character: Character) -> Int {
    guard let first = character.unicodeScalars.first else { return 0 }
    if first.value < 0x300 { return 1 }
    if character.unicodeScalars.contains(where: { $0.value == 0xFE0F }) || first.properties.isEmojiPresentation {
      return 2
    }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: return wide.contains { $0.contains(first.value) } ? 2 : 1
    }
  }

  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F,
    0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6,
    0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x20000...0x3FFFD,
  ]

  /// `text` padded with spaces, or cut and ended with `…`, to exactly `columns` (at least 1).
  public static func fit(_ text: String, to columns: Int, alignRight: Bool = false) -> String {
    let cut = cut(text, to: columns)
    let padding = String(repeating: " ", count: max(columns - width(cut), 0))
    return alignRight ? padding + cut : cut + padding
  }

  /// `text`, cut and ended with `…` where it is wider than `columns`.
  public static func cut(_ text: String, to columns: Int) -> String {
    guard width(text) > columns else { return text }
    var cut = ""
    var used = 0
    for character in text {
      let next = width(character)
      if used + next > columns - 1 { break }
      cut.append(character)
      used += next
    }
    return cut + "…"
  }

  /// `words` with spaces between them, in lines of at most `columns`; all lines but the first begin with `indent`. A word
  /// that is wider has a line of its own.
  static func wrapped(_ words: [String], to columns: Int, indent: String = "") -> [String] {
    var lines: [String] = []
    var line = ""
    for word in words {
      if line.isEmpty {
        line = word
      } else if width(line) + 1 + width(word) <= columns {
        line += " " + word
      } else {
        lines.append(line)
        line = indent + word
      }
    }
    return lines + [line]
  }
}
