// Distributions of durations and counts: parsed from text, and drawn from.
import Glibc

/// A distribution of durations (in nanoseconds) or counts, never negative.
///
/// Text forms: `V` or `fixed:V`, `uniform:LOW,HIGH`, `normal:MEAN,DEVIATION` (cut at 0), `exp:MEAN`,
/// `lognormal:MEDIAN,SIGMA` (sigma is a plain number: that of the logarithm).
public struct Distribution: Hashable, Sendable {
  enum Shape: Hashable, Sendable {
    case fixed(Double)
    case uniform(Double, Double)
    case normal(mean: Double, deviation: Double)
    case exponential(mean: Double)
    case logNormal(median: Double, sigma: Double)
  }
  let shape: Shape

  /// Durations: every value has a unit (`ns`, `us`, `ms`, `s`), except 0.
  /// - Throws: `SimulatorError` that says what is wrong with the text.
  public init(duration text: String) throws(SimulatorError) {
    shape = try Self.shape(text, value: Self.nanoseconds)
  }

  /// Counts: plain numbers.
  /// - Throws: `SimulatorError` that says what is wrong with the text.
  public init(count text: String) throws(SimulatorError) {
    shape = try Self.shape(text, value: Self.number)
  }

  /// The mean, or the median where the distribution is described by that.
  var center: Double {
    switch shape {
    case .fixed(let value): value
    case .uniform(let low, let high): (low + high) / 2
    case .normal(let mean, _), .exponential(let mean): mean
    case .logNormal(let median, _): median
    }
  }

  /// Whether nothing but 0 can be drawn.
  var isZero: Bool { shape == .fixed(0) }

  /// Draws one value.
  public func draw(_ source: inout RandomSource) -> Double {
    switch shape {
    case .fixed(let value): value
    case .uniform(let low, let high): low + (high - low) * source.unit()
    case .normal(let mean, let deviation): max(0, mean + deviation * source.standardNormal())
    case .exponential(let mean): -mean * logarithm(1 - source.unit())
    case .logNormal(let median, let sigma): median * exp(sigma * source.standardNormal())
    }
  }

  /// Draws a whole number, at most a trillion.
  func drawWhole(_ source: inout RandomSource) -> Int64 { Int64(min(draw(&source), 1e18).rounded()) }
}

// MARK: Parsing

extension Distribution {
  private static func shape(
    _ text: String, value: (Substring) throws(SimulatorError) -> Double
  ) throws(SimulatorError) -> Shape {
    guard let colon = text.firstIndex(of: ":") else { return .fixed(try value(text[...])) }
    let name = text[..<colon]
    let parts = text[text.index(after: colon)...].split(separator: ",", omittingEmptySubsequences: false)
    func expect(_ count: Int, _ form: String) throws(SimulatorError) {
      guard parts.count == count else { throw SimulatorError("'\(text)': write it as \(form)") }
    }
    switch name {
    case "fixed":
      try expect(1, "fixed:VALUE")
      return .fixed(try value(parts[0]))
    case "uniform":
      try expect(2, "uniform:LOW,HIGH")
      let (low, high) = (try value(parts[0]), try value(parts[1]))
      guard low <= high else { throw SimulatorError("'\(text)': the low end is above the high end") }
      return .uniform(low, high)
    case "normal":
      try expect(2, "normal:MEAN,DEVIATION")
      return .normal(mean: try value(parts[0]), deviation: try value(parts[1]))
    case "exp":
      try expect(1, "exp:MEAN")
      return .exponential(mean: try value(parts[0]))
    case "lognormal":
      try expect(2, "lognormal:MEDIAN,SIGMA")
      return .logNormal(median: try value(parts[0]), sigma: try number(parts[1]))
    default:
      throw SimulatorError("'\(name)' is no distribution: fixed, uniform, normal, exp or lognormal")
    }
  }

  /// A duration such as `20ms`, in nanoseconds.
  static func nanoseconds(_ text: Substring) throws(SimulatorError) -> Double {
    let units: [(String, Double)] = [("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)]
    for (unit, scale) in units where text.hasSuffix(unit) {
      return try number(text.dropLast(unit.count)) * scale
    }
    guard try number(text) == 0 else {
      throw SimulatorError("'\(text)': a duration needs a unit: ns, us, ms or s")
    }
    return 0
  }

  private static func number(_ text: Substring) throws(SimulatorError) -> Double {
    guard text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(text), number.isFinite
    else { throw SimulatorError("'\(text)' is no number of 0 or more") }
    return number
  }
}

func logarithm(_ value: Double) -> Double { log(value) }
func cosine(_ value: Double) -> Double { cos(value) }
