// Bars and sparklines of block characters.
import Glibc

/// Block characters for small pictures in a terminal.
enum Sparkline {
  private static let eighthsUp: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
  private static let eighthsRight: [Character] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"]

  /// The height, 0 to 7, of `milliseconds` on a logarithmic scale: 1 ms and less is 0, 10 s and more is 7.
  static func level(ofMilliseconds milliseconds: Double) -> Int {
    milliseconds > 1 ? Int(min(log10(milliseconds) * 7 / 4, 7)) : 0
  }

  /// One block of `level` (0 to 7) eighths of height, and one more.
  static func block(_ level: Int) -> Character { eighthsUp[min(max(level, 0), 7)] }

  /// A bar of `part` (0 to 1) of `columns`, padded to them; anything above 0 shows.
  static func bar(_ part: Double, columns: Int) -> String {
    let eighths = part > 0 ? min(max(Int((part * Double(columns * 8)).rounded()), 1), columns * 8) : 0
    var bar = String(repeating: "█", count: eighths / 8)
    if eighths % 8 > 0 { bar.append(eighthsRight[eighths % 8 - 1]) }
    return bar + String(repeating: " ", count: columns - (eighths + 7) / 8)
  }
}
