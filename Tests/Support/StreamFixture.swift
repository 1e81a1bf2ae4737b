// Streams and bodies of every dialect, each a file of its own with what is expected of it beside it (Tests/Streams).
import Foundation

/// One response: its bytes, and a file of the same name that ends in `.expected`: `key: value` lines, `---`, then what a decoder
/// says of it (`event: …`, `stream: …`) and what a record says of it (`record: …`).
package struct StreamFixture: Sendable, CustomStringConvertible {
  package let description: String
  package let path: String
  package let contentType: String?
  /// The request's body, where it matters.
  package let request: String?
  package let bytes: [UInt8]
  package let isEventStream: Bool
  private let expected: [String]
  private let file: URL

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Streams")

  /// All of them, by name.
  package static let all: [StreamFixture] = {
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects as? [URL] ?? []
    return files.filter { !$0.hasDirectoryPath && $0.pathExtension != "expected" && $0.pathExtension != "md" }
      .sorted { $0.path < $1.path }.compactMap { try? StreamFixture($0) }
  }()

  private init(_ file: URL) throws {
    let name = file.deletingPathExtension()
    self.file = name.appendingPathExtension("expected")
    description = "\(name.deletingLastPathComponent().lastPathComponent)/\(name.lastPathComponent)"
    bytes = [UInt8](try Data(contentsOf: file))
    let text = try String(contentsOf: self.file, encoding: .utf8)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    let head = lines.prefix { $0 != "---" }
    func value(_ key: String) -> String? {
      head.first { $0.hasPrefix("\(key): ") }.map { String($0.dropFirst(key.count + 2)) }
    }
    path = value("path") ?? ""
    contentType = value("type")
    request = value("request")
    expected = Array(lines.dropFirst(head.count + 1))
    isEventStream = file.pathExtension == "sse"
  }

  /// The expected lines that begin with one of `keys`.
  package func expected(_ keys: String...) -> [String] {
    expected.filter { line in keys.contains { line.hasPrefix("\($0): ") } }
  }

  /// The bytes in parts that a server would write: an event or a line each.
  package var parts: [ArraySlice<UInt8>] {
    let end: [UInt8] = isEventStream ? (bytes.contains(0x0D) ? [0x0D, 0x0A, 0x0D, 0x0A] : [0x0A, 0x0A]) : [0x0A]
    var parts: [ArraySlice<UInt8>] = []
    var start = 0
    var at = 0
    while at < bytes.count {
      if bytes[at...].starts(with: end) {
        at += end.count
        parts.append(bytes[start..<at])
        start = at
      } else {
        at += 1
      }
    }
    if start < bytes.count { parts.append(bytes[start...]) }
    return parts
  }

  /// `TACHOGRAPH_WRITE_STREAMS=1`: what is said is written into the files, to be read before it is believed.
  package static let isWriting = ProcessInfo.processInfo.environment["TACHOGRAPH_WRITE_STREAMS"] == "1"

  /// Writes the lines of these keys anew.
  package func write(_ lines: [String], _ keys: String...) throws {
    let text = try String(contentsOf: file, encoding: .utf8)
    let kept = text.split(separator: "\n").filter { line in !keys.contains { line.hasPrefix("\($0): ") } }
    try (kept.map(String.init) + lines).map { $0 + "\n" }.joined().write(to: file, atomically: true, encoding: .utf8)
  }
}
