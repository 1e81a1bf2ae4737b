// A straight line through points, by least squares, from sums that merge.

/// Sums of points (x, y), kept about their means so that large values lose no digits (Chan, Golub, LeVeque 1983).
struct FitTally: Sendable {
  private(set) var count = 0
  private var meanX = 0.0
  private var meanY = 0.0
  private var sumXX = 0.0
  private var sumXY = 0.0
  private var sumYY = 0.0

  mutating func add(x: Double, y: Double) {
    var point = FitTally()
    (point.count, point.meanX, point.meanY) = (1, x, y)
    merge(point)
  }

  mutating func merge(_ other: FitTally) {
    guard other.count > 0 else { return }
    let total = Double(count + other.count)
    let (dx, dy) = (other.meanX - meanX, other.meanY - meanY)
    let weight = Double(count) * Double(other.count) / total
    sumXX += other.sumXX + dx * dx * weight
    sumXY += other.sumXY + dx * dy * weight
    sumYY += other.sumYY + dy * dy * weight
    meanX += dx * Double(other.count) / total
    meanY += dy * Double(other.count) / total
    count += other.count
  }

  /// The line; nil where the points lie at one x, so that none is better than another.
  var line: (intercept: Double, slope: Double, rSquared: Double)? {
    guard count >= 2, sumXX > 0 else { return nil }
    let slope = sumXY / sumXX
    return (meanY - slope * meanX, slope, sumYY > 0 ? sumXY * sumXY / (sumXX * sumYY) : 1)
  }
}
