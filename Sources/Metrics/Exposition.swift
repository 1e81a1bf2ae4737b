// Metrics as Prometheus reads them: its text format, version 0.0.4.
// It must not be given names from outside: names are written as they are, only labels' values are escaped.

/// A page of metrics, family by family.
///
/// The format: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format".
public struct Exposition: Sendable {
  /// The media type to serve it as.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// What a family's samples are.
  public enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
  }

  /// Names and values of labels, in the order in which they are shown. A nil value leaves its label out.
  public typealias Labels = KeyValuePairs<String, String?>

  /// The page so far.
  public private(set) var text = ""
  private var name = ""

  /// An empty page.
  public init() {}

  /// Begins a family, to which all samples belong until the next one. A family comes once.
  public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    self.name = name
    let help = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  /// A sample of the present family.
  public mutating func sample(_ value: some BinaryInteger, _ labels: Labels = [:]) {
    text += "\(name)\(Self.text(of: labels)) \(value)\n"
  }

  /// A sample of the present family, with a fraction.
  public mutating func sample(_ value: Double, _ labels: Labels = [:]) {
    text += "\(name)\(Self.text(of: labels)) \(value)\n"
  }

  /// A distribution of the present family: cumulative buckets up to `+Inf`, which is the count.
  public mutating func histogram(_ counts: BucketCounts, _ labels: Labels = [:]) {
    let pairs = Self.pairs(labels)
    var below: UInt64 = 0
    for (index, inBucket) in counts.inBucket.enumerated() {
      below &+= inBucket
      let bound = index < counts.buckets.labels.count ? counts.buckets.labels[index] : "+Inf"
      text += "\(name)_bucket{\((pairs + ["le=\"\(bound)\""]).joined(separator: ","))} \(below)\n"
    }
    let written = Self.text(of: labels)
    text += "\(name)_sum\(written) \(Double(counts.sum) / counts.buckets.scale)\n\(name)_count\(written) \(below)\n"
  }

  private static func text(of labels: Labels) -> String {
    let pairs = pairs(labels)
    return pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
  }

  private static func pairs(_ labels: Labels) -> [String] {
    labels.compactMap { name, value in value.map { "\(name)=\"\(escaped($0))\"" } }
  }

  /// A label's value: backslash, quote and line feed are the three that the format escapes.
  private static func escaped(_ value: String) -> String {
    guard value.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 == 0x0A }) else {
      return value
    }
    // Scalar by scalar: a quote that a combining mark follows would be another Character.
    var escaped = ""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
