// Numbers as a person reads them: about four significant digits, thousands separated, a dash for what is not known. Nothing
// that a program reads may use it.

/// Numbers for tables.
enum NumberText {
  /// What stands for "not known".
  static let unknown = "–"
  /// What stands behind a percentile of too few values.
  static let thinMark = "*"

  /// `value` with a comma between thousands.
  static func whole(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return value < 0 ? "-" + text : text
  }

  static func whole(_ value: Int?) -> String { value.map { whole($0) } ?? unknown }

  /// `value` with as many decimals as make four digits: 0.253, 12.34, 123.4, 12,345.
  static func short(_ value: Double) -> String {
    switch value.magnitude {
    case ..<9.9995: fixed(value, decimals: 3)
    case ..<99.995: fixed(value, decimals: 2)
    case ..<999.95: fixed(value, decimals: 1)
    case ..<1e15: whole(Int(value.rounded()))
    default: "\(value)"
    }
  }

  static func short(_ value: Double?) -> String { value.map { short($0) } ?? unknown }

  /// A part of 1 in percent: 0 %, 99.5 %, 100 %. Only all is 100 %, and only nothing is 0 %.
  static func percent(_ part: Double) -> String {
    let text = fixed(min(max(part * 100, part > 0 ? 0.1 : 0), part < 1 ? 99.9 : 100), decimals: 1)
    return (text.hasSuffix(".0") ? String(text.dropLast(2)) : text) + " %"
  }

  static func percent(_ part: Double?) -> String { part.map { percent($0) } ?? unknown }

  /// `value` with exactly `decimals` decimals.
  static func fixed(_ value: Double, decimals: Int) -> String {
    var scale = 1
    for _ in 0..<decimals { scale *= 10 }
    guard let scaled = Int(exactly: (value * Double(scale)).rounded()) else { return "\(value)" }
    let fraction = String(scaled.magnitude % UInt(scale))
    let sign = scaled < 0 ? "-" : ""
    let zeros = String(repeating: "0", count: decimals - fraction.count)
    return "\(sign)\(scaled.magnitude / UInt(scale)).\(zeros)\(fraction)"
  }

  /// A length of time: `45.2 s`, `12 min 5 s`, `3 h 20 min`, `2 d 4 h`.
  static func duration(seconds: Double) -> String {
    guard seconds >= 60, let whole = Int(exactly: seconds.rounded()) else { return short(seconds) + " s" }
    let units = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]
    guard let first = units.firstIndex(where: { whole >= $0.0 }), first + 1 < units.count else { return "\(whole) s" }
    let (large, small) = (units[first], units[first + 1])
    return "\(whole / large.0) \(large.1) \(whole % large.0 / small.0) \(small.1)"
  }
}

extension Percentiles {
  /// The percentile for a table, marked where it is thin.
  func text(_ percentile: Int) -> String {
    let value = percentile == 50 ? p50 : percentile == 90 ? p90 : p99
    return NumberText.short(value) + (Self.isThin(percentile, of: count) ? NumberText.thinMark : "")
  }
}

extension Percentiles? {
  /// The same; a dash for what is not known.
  func text(_ percentile: Int) -> String { map { $0.text(percentile) } ?? NumberText.unknown }
}
