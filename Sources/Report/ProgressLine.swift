// How far a long read has come, as one line.

/// A progress bar's text.
public enum ProgressLine {
  /// - Parameters:
  ///   - doneBytes: what has been read.
  ///   - totalBytes: what there is to read; nil for a pipe.
  ///   - seconds: since the start.
  public static func text(doneBytes: Int, totalBytes: Int?, seconds: Double) -> String {
    let megabytes = NumberText.whole(doneBytes / 1_000_000)
    let rate = seconds > 0 ? NumberText.whole(Int(Double(doneBytes) / seconds / 1e6)) : NumberText.unknown
    guard let totalBytes, totalBytes > 0 else { return "reading \(megabytes) MB, \(rate) MB/s" }
    let part = min(Double(doneBytes) / Double(totalBytes), 1)
    let total = NumberText.whole(totalBytes / 1_000_000)
    return "reading \(Sparkline.bar(part, columns: 24))▏\(Int(part * 100)) % of \(total) MB, \(rate) MB/s"
  }
}
