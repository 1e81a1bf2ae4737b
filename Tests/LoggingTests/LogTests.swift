// What a log passes to its sink: levels, messages that are logged once, one printable line each.
import Synchronization
import Testing

@testable import Logging

/// Keeps what it is given.
private final class CollectingSink: LogSink {
  private let kept = Mutex<[Log.Entry]>([])
  var entries: [Log.Entry] { kept.withLock { $0 } }
  func accept(_ entry: Log.Entry) { kept.withLock { $0.append(entry) } }
}

@Suite("Log")
struct LogTests {
  private let sink = CollectingSink()

  @Test("Messages of its level and above are passed on, in order, with their level")
  func levels() {
    let log = Log(level: .info, sink: sink)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    #expect(
      sink.entries == [
        Log.Entry(level: .info, message: "b"), Log.Entry(level: .warning, message: "c"),
        Log.Entry(level: .error, message: "d"),
      ])
  }

  @Test("A message that is not logged is not built")
  func lazy() {
    let log = Log(level: .error, sink: sink)
    func message() -> String {
      Issue.record("it was built")
      return ""
    }
    log.warning(message())
    log.once("key", .warning, message())
  }

  @Test("Of the messages with one key the first is logged, from whatever thread, and keys do not share it")
  func once() async {
    let log = Log(sink: sink)
    await withTaskGroup { group in
      for number in 0..<100 { group.addTask { log.once(number % 2 == 0 ? "even" : "odd", .warning, "\(number % 2)") } }
    }
    #expect(sink.entries.map(\.message).sorted() == ["0", "1"])
  }

  @Test("A key is used by a message that is logged, not by one below the level")
  func onceBelowLevel() {
    let log = Log(level: .warning, sink: sink)
    log.once("key", .info, "a")
    log.once("key", .error, "b")
    #expect(sink.entries.map(\.message) == ["b"])
  }

  @Test(
    "A message is one line and steers no terminal",
    arguments: [
      ("plain", "plain"), ("日本語 é", "日本語 é"), ("a\nb\r\n", #"a\x0ab\x0d\x0a"#), ("\u{1B}[2J", #"\x1b[2J"#),
      ("\u{7F}\u{85}", #"\x7f\x85"#), ("\u{2028}\u{202E}", #"\u{2028}\u{202e}"#), ("👩‍💻", "👩‍💻"),
    ])
  func printable(message: String, logged: String) {
    Log(sink: sink).info(message)
    #expect(sink.entries.map(\.message) == [logged])
  }
}
