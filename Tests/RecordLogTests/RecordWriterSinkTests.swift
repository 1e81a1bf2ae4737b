// The writer with a sink that follows a script: errors, sinks that accept nothing for a time, reopening, the end.
import Glibc
import Logging
import Synchronization
import Testing

@testable import RecordLog

/// What a sink is told to do, from the test's thread, and what it did, from the writer's.
private final class Script: Sendable {
  struct State {
    var openErrors: [RecordSinkError?] = []
    var writeErrors: [RecordSinkError] = []
    var flushErrors: [RecordSinkError] = []
    /// Writes that accept nothing before the next one does.
    var refusals = 0
    var text = ""
    var calls: [String] = []
  }

  let state: Mutex<State>

  init(_ prepare: (inout State) -> Void = { _ in }) {
    var initial = State()
    prepare(&initial)
    state = Mutex(initial)
  }

  var text: String { state.withLock { $0.text } }

  /// The calls other than writes and flushes.
  var calls: [String] { state.withLock { $0.calls } }

  func waitForCalls(_ count: Int) { while calls.count < count { sched_yield() } }
}

/// Keeps whole texts in its script.
private final class ScriptedSink: RecordSink {
  let name = "script"
  var isOpen = false
  let writability: Int32? = nil
  let hasPath: Bool
  private let script: Script

  init(_ script: Script, hasPath: Bool = true) {
    self.script = script
    self.hasPath = hasPath
  }

  func open() throws(RecordSinkError) {
    let error = script.state.withLock { state in
      state.calls.append("open")
      return state.openErrors.isEmpty ? nil : state.openErrors.removeFirst()
    }
    if let error { throw error }
    isOpen = true
  }

  func write(_ lines: RawSpan) throws(RecordSinkError) -> Int {
    let text = lines.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    let (error, accepted) = script.state.withLock { state -> (RecordSinkError?, Int) in
      if !state.writeErrors.isEmpty { return (state.writeErrors.removeFirst(), 0) }
      if state.refusals > 0 {
        state.refusals -= 1
        return (nil, 0)
      }
      state.text += text
      return (nil, text.utf8.count)
    }
    if let error { throw error }
    return accepted
  }

  func flush() throws(RecordSinkError) -> Bool {
    let error = script.state.withLock { state -> RecordSinkError? in
      guard !state.flushErrors.isEmpty else { return nil }
      // It has lost what it held.
      state.text = ""
      return state.flushErrors.removeFirst()
    }
    if let error { throw error }
    return true
  }

  func close() { script.state.withLock { $0.calls.append("close") } }
}

@Suite("RecordWriter and its sink", .timeLimit(.minutes(1)))
struct RecordWriterSinkTests {
  private let log = Collected()
  private let fault = RecordSinkError(description: "out of order")

  private func makeWriter(_ script: Script, reminder: Int = 0, hasPath: Bool = true) throws -> RecordWriter {
    var settings = RecordWriter.Settings(path: "script", instance: "test")
    settings.retryMilliseconds = 1
    settings.tickMilliseconds = 1
    settings.reminderMilliseconds = reminder
    return try RecordWriter(settings, log: Log(sink: log)) { ScriptedSink(script, hasPath: hasPath) }
  }

  private func submit(_ numbers: Range<Int>, to writer: RecordWriter) {
    for number in numbers { writer.submit { $0 = record(number) } }
  }

  private func text(_ numbers: Range<Int>) -> String { numbers.map { line(record($0)) }.joined() }

  @Test("It is opened at the start and closed at the end, once each")
  func lifetime() throws {
    let script = Script()
    let writer = try makeWriter(script)
    submit(0..<3, to: writer)
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(script.calls == ["open", "close"])
    #expect(script.text == text(0..<3))
    #expect(log.texts == [])
  }

  @Test("A sink without a path is not opened again: no line of it is begun anew")
  func reopenWithoutPath() throws {
    let script = Script()
    let writer = try makeWriter(script, hasPath: false)
    submit(0..<3, to: writer)
    writer.reopen()
    submit(3..<6, to: writer)
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(script.calls == ["open", "close"] && script.text == text(0..<6))
  }

  @Test(
    "An error at the start is the writer's, unless it is temporary: then it is opened when there is something to write")
  func openAtTheStart() throws {
    let refused = Script { $0.openErrors = [fault] }
    #expect(throws: RecordWriterError(description: "cannot open the record log script: out of order")) {
      _ = try makeWriter(refused)
    }
    let temporary = RecordSinkError(description: "not yet", isTemporary: true)
    let script = Script { $0.openErrors = [temporary, temporary, nil] }
    let writer = try makeWriter(script)
    submit(0..<2, to: writer)
    script.waitForCalls(3)
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(script.calls == ["open", "open", "open", "close"])
    #expect(script.text == text(0..<2))
    #expect(writer.statistics.openErrors == 1)
    #expect(
      log.texts == [
        "cannot open the record log script: not yet; trying again (records dropped so far: 0)",
        "writing to the record log script works again, after 0 s (records dropped so far: 0)",
      ])
  }

  @Test("A sink that accepts nothing for a time is asked again, and nothing is an error")
  func refusals() throws {
    let script = Script { $0.refusals = 3 }
    let writer = try makeWriter(script)
    submit(0..<2, to: writer)
    while writer.statistics.written < 2 { sched_yield() }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(script.text == text(0..<2))
    #expect(writer.statistics.errors == 0)
  }

  @Test("A failed write is counted, reported and tried again; a failed flush too, from the first line on")
  func errors() throws {
    let script = Script {
      $0.writeErrors = [fault, fault]
      $0.flushErrors = [fault]
    }
    let writer = try makeWriter(script)
    submit(0..<2, to: writer)
    while writer.statistics.written < 2 { sched_yield() }
    #expect(script.text == text(0..<2))
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(writer.statistics.writeErrors == 3 && writer.statistics.errors == 3)
    let message = "cannot write to the record log script: out of order; trying again (records dropped so far: 0)"
    #expect(log.texts.dropLast() == [message, message, message])
    #expect(log.texts.last?.hasPrefix("writing to the record log script works again, after 0 s") == true)
  }

  @Test("Of an outage the first error is reported, and that it is over; all errors are counted")
  func outage() throws {
    let script = Script { $0.writeErrors = [fault, fault, fault] }
    let writer = try makeWriter(script, reminder: 3_600_000)
    submit(0..<2, to: writer)
    while writer.statistics.written < 2 { sched_yield() }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(writer.statistics.writeErrors == 3)
    #expect(log.texts.count == 2)
    #expect(log.texts.last == "writing to the record log script works again, after 0 s (records dropped so far: 0)")
  }

  @Test("Each request to open it again is carried out once, whether or not the one before failed")
  func reopen() throws {
    let script = Script { $0.openErrors = [nil, fault, nil, fault] }
    let writer = try makeWriter(script)
    for count in 2...5 {
      writer.reopen()
      script.waitForCalls(count)
      submit(count..<(count + 1), to: writer)
      while writer.statistics.written < count - 1 { sched_yield() }
    }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(script.calls == ["open", "open", "open", "open", "open", "close"])
    #expect(script.text == text(2..<6))
    #expect(writer.statistics.reopenErrors == 2 && writer.statistics.errors == 2)
    #expect(log.texts.count == 2)
  }

  @Test("What the sink never accepted is lost at the end, which the operator is told")
  func lostAtTheEnd() throws {
    let script = Script { $0.refusals = .max }
    let writer = try makeWriter(script)
    submit(0..<2, to: writer)
    #expect(writer.close(timeoutMilliseconds: 20) == 2)
    #expect(script.calls == ["open", "close"])
    #expect(writer.statistics.dropped == 2)
    #expect(log.texts == ["lost 2 records: they could not be written to script before the end"])
  }
}
