// Sizes and durations as people write them: 64KiB, 500ms, and back.

/// One unit of a quantity and how many base units it holds.
struct Unit {
  let suffix: String
  let factor: Int

  /// Bytes; powers of 1,024 only, because "KB" means both 1,000 and 1,024.
  static let sizes = [
    Unit(suffix: "GiB", factor: 1 << 30), Unit(suffix: "MiB", factor: 1 << 20), Unit(suffix: "KiB", factor: 1 << 10),
    Unit(suffix: "B", factor: 1),
  ]

  /// Milliseconds.
  static let durations = [
    Unit(suffix: "h", factor: 3_600_000), Unit(suffix: "ms", factor: 1), Unit(suffix: "m", factor: 60_000),
    Unit(suffix: "s", factor: 1000),
  ]
}

/// A whole number with a unit as `text` writes it, in base units; nil if it is anything else or too big to hold.
func quantity(_ text: String, in units: [Unit]) -> Int? {
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  let suffix = text.dropFirst(digits.count).drop { $0 == " " }
  guard let number = Int(digits),
    let unit = units.first(where: { $0.suffix.lowercased() == suffix.lowercased() })
  else { return nil }
  let (product, overflow) = number.multipliedReportingOverflow(by: unit.factor)
  return overflow ? nil : product
}

/// The shortest way to write a number of base units without losing any.
func written(_ amount: Int, in units: [Unit]) -> String {
  let largest = units.filter { amount != 0 && amount.isMultiple(of: $0.factor) }.max { $0.factor < $1.factor }
  guard let unit = largest ?? units.min(by: { $0.factor < $1.factor }) else { return "\(amount)" }
  return "\(amount / unit.factor)\(unit.suffix)"
}
