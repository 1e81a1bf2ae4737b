// The trace id of a W3C `traceparent`, where it is valid.
// It must not start or change a trace: the field is forwarded as it came.

/// Reading of `traceparent` (W3C Trace Context, level 1, §3.2).
enum TraceParent {
  /// The trace id (32 lower-case hex digits) of a valid field; nil for any other: version `ff`, ids all zero, wrong
  /// lengths or case. A version above 00 may go on after another `-`.
  static func traceID(_ field: String) -> String? {
    let text = Array(field.utf8)
    let dash = UInt8(ascii: "-")
    guard text.count >= 55, text[2] == dash, text[35] == dash, text[52] == dash else { return nil }
    let (version, trace, parent, flags) = (text[0..<2], text[3..<35], text[36..<52], text[53..<55])
    guard [version, trace, parent, flags].allSatisfy({ $0.allSatisfy { Hex.digit($0) != nil } }),
      !version.elementsEqual("ff".utf8), !isZero(trace), !isZero(parent)
    else { return nil }
    let isFirstVersion = isZero(version)
    guard text.count == 55 || (!isFirstVersion && text[55] == dash) else { return nil }
    return String(decoding: trace, as: UTF8.self)
  }

  private static func isZero(_ digits: ArraySlice<UInt8>) -> Bool { digits.allSatisfy { $0 == UInt8(ascii: "0") } }
}
