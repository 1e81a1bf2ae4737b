// What the tests of the writing end share: small records, files read back, a sink that follows a script.
import Foundation
import Logging
import Measurement
import Synchronization
import Testing

@testable import RecordLog

/// The lines of a file, every one of which must be whole.
func lines(_ path: String) throws -> [String] {
  let text = try String(contentsOfFile: path, encoding: .utf8)
  #expect(text.isEmpty || text.hasSuffix("\n"))
  return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
}

/// A record that is told from others by its number.
func record(_ number: Int) -> ExchangeRecord {
  var record = ExchangeRecord()
  record.id = "r\(number)"
  record.timestampNanoseconds = Int64(number) * 1_234_567_891
  record.user = "somebody with a name of some length, number \(number)"
  return record
}

extension QueuedRecord {
  convenience init(filling record: ExchangeRecord) {
    self.init()
    fill { $0 = record }
  }
}

/// A line's `id`; nil for what is no record.
func id(_ line: some StringProtocol) -> String? {
  let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
  return object?["id"] as? String
}

/// Texts that another thread collects: what a writer has logged, or a reader has read.
final class Collected: LogSink {
  private let kept = Mutex<[String]>([])
  var texts: [String] { kept.withLock { $0 } }
  func add(_ text: String) { kept.withLock { $0.append(text) } }
  func accept(_ entry: Log.Entry) { add(entry.message) }
}
