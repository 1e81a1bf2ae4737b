// A head as it is sent, for all heads that HeadCache takes for alike.
import HTTP

/// A head's bytes as they are sent, with gaps for the values that may differ.
///
/// Of the values that may differ it holds none, but whatever else the head holds, which may be a credential: keep it no longer
/// than the cache keeps the head.
public struct SerializedHead: ~Copyable {
  private let bytes: [UInt8]
  /// The gaps: a range of `bytes`, and the index of the field whose value belongs there.
  private let gaps: [(place: Range<Int>, field: Int)]

  /// - Parameters:
  ///   - varying: indexes of the fields whose values may differ, in ascending order.
  ///   - places: where the value of each field that is sent unchanged begins in `bytes`.
  init(_ bytes: [UInt8], of fields: Fields, varying: [Int], places: [Int: Int]) {
    var bytes = bytes
    gaps = varying.compactMap { index in
      places[index].map { ($0..<$0 + fields.list[index].value.count, index) }
    }
    for gap in gaps { for place in gap.place { bytes[place] = 0 } }
    self.bytes = bytes
  }

  /// Appends the head with the values that `fields` hold.
  public func append(to output: OutputBuffer, valuesOf fields: Fields) {
    var place = 0
    for gap in gaps {
      output.append(bytes, place..<gap.place.lowerBound)
      output.append(fields.bytes, fields.list[gap.field].value)
      place = gap.place.upperBound
    }
    output.append(bytes, place..<bytes.count)
  }
}
