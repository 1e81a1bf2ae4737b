// The writer on real files, FIFOs and devices: whole lines, counted losses, a bounded end.
import Clocks
import Foundation
import Logging
import Measurement
import Synchronization
import TestSupport
import Testing

@testable import RecordLog

extension RecordWriter {
  fileprivate func submit(filling record: ExchangeRecord) { submit { $0 = record } }
}

/// Reads until the last line begun after `mark` is whole, or to the end.
private func read(from descriptor: Int32, until mark: String?) -> String {
  var text = ""
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while mark.map({ !(text.contains($0) && text.hasSuffix("\n")) }) ?? true {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 10_000) == 1 else { break }
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    guard count > 0 else { break }
    text += String(decoding: buffer[..<count], as: UTF8.self)
  }
  return text
}

private func settings(_ path: String, limit: Int = 8_192) -> RecordWriter.Settings {
  var settings = RecordWriter.Settings(path: path, instance: "test")
  settings.queueLimit = limit
  settings.retryMilliseconds = 5
  settings.tickMilliseconds = 1
  return settings
}

@Suite("RecordWriter")
struct RecordWriterTests {
  @Test("Every record submitted is a line of the file, in order")
  func wholeLog() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("log")
    let writer = try RecordWriter(settings(path))
    for number in 0..<3_000 { writer.submit(filling: record(number)) }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    #expect(try lines(path).map(id) == (0..<3_000).map { "r\($0)" })
    let statistics = writer.statistics
    #expect(statistics.written == 3_000 && statistics.dropped == 0 && statistics.errors == 0)
    #expect(statistics.waiting == 0)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect((mode?.intValue ?? 0) & ~0o640 == 0)
  }

  @Test("Nothing of one record is in a later one's line, whatever memory they shared")
  func nothingLeftOver() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    var brief = settings(folder.file("log"))
    brief.tickMilliseconds = 1
    let writer = try RecordWriter(brief)
    for number in 0..<300 {
      writer.submit(filling: fullRecord())
      writer.submit { $0.id = "r\(number)" }
      if number % 50 == 49 { while writer.statistics.waiting > 0 { sched_yield() } }
    }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    let written = try lines(folder.file("log"))
    let full = line(fullRecord()).dropLast()
    for number in 0..<300 {
      var small = ExchangeRecord()
      small.id = "r\(number)"
      #expect(written[2 * number] == full)
      #expect(written[2 * number + 1] == line(small).dropLast())
    }
  }

  @Test("Lines of many threads are whole")
  func manyThreads() async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("log")
    let writer = try RecordWriter(settings(path))
    await withTaskGroup { group in
      for worker in 0..<4 {
        group.addTask { for number in 0..<500 { writer.submit(filling: record(worker * 1_000 + number)) } }
      }
    }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    let ids = try lines(path).compactMap(id)
    #expect(Set(ids).count == 2_000)
    #expect(ids.count == 2_000)
  }

  @Test("A torn last line of an earlier run stays torn alone")
  func tornBefore() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("log")
    try Data("{\"v\":1,\"id\":\"half".utf8).write(to: URL(fileURLWithPath: path))
    let writer = try RecordWriter(settings(path))
    writer.submit(filling: record(1))
    writer.close(timeoutMilliseconds: 10_000)
    #expect(try lines(path).map(id) == [nil, "r1"])
  }

  @Test("A full disk holds nobody up, loses what does not fit, and the end is bounded")
  func fullDisk() throws {
    let logged = Collected()
    var settings = settings("/dev/full", limit: 100)
    settings.reminderMilliseconds = 3_600_000
    let writer = try RecordWriter(settings, log: Log(sink: logged))
    for number in 0..<1_000 { writer.submit(filling: record(number)) }
    #expect(writer.close(timeoutMilliseconds: 50) == 100)
    // On a busy machine the thread ends a little later than the wait for it.
    while logged.texts.count < 2 { sched_yield() }
    let statistics = writer.statistics
    #expect(statistics.written == 0)
    #expect(statistics.dropped == 1_000)
    #expect(statistics.errors >= 1)
    #expect(logged.texts.first?.contains("No space left on device") == true)
    // One line about the device, one about the end, however often it was tried.
    #expect(logged.texts.count == 2)
  }

  @Test("A FIFO whose reader stopped holds nobody up; when it reads on it gets whole lines and the number missing")
  func stoppedReader() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    let reader = open(path, O_RDONLY | O_NONBLOCK)
    defer { close(reader) }
    let writer = try RecordWriter(settings(path, limit: 500))
    // Far more than a pipe holds; nobody reads.
    for number in 0..<5_000 { writer.submit(filling: record(number)) }
    let dropped = writer.statistics.dropped
    #expect(dropped > 0)

    let text = Collected()
    let atEnd = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      text.add(read(from: reader, until: nil))
      atEnd.signal()
    }
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
    atEnd.wait()
    let all = text.texts.joined().split(separator: "\n").map(String.init)
    let ids = all.compactMap(id)
    let missing = all.compactMap { line -> Int? in
      let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return object?["dropped"] as? Int
    }
    #expect(ids.count + missing.count == all.count, "every line is whole")
    #expect(ids.count + missing.reduce(0, +) == 5_000)
    #expect(missing.reduce(0, +) == dropped)
    #expect(writer.statistics.written == ids.count)
  }

  @Test("A FIFO without a reader is no error at the start, and the end is bounded")
  func noReader() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    let writer = try RecordWriter(settings(path), log: Log(sink: Collected()))
    for number in 0..<10 { writer.submit(filling: record(number)) }
    let start = Instant.now()
    #expect(writer.close(timeoutMilliseconds: 30) == 10)
    // Nobody will ever read: without its bound the close would not return.
    #expect(Instant.now().nanoseconds(since: start) < 20_000_000_000)
  }

  @Test("A FIFO's reader that goes is replaced by the next, which starts with the line that was cut, whole")
  func nextReader() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    let first = open(path, O_RDONLY | O_NONBLOCK)
    // More than the pipe holds: it is full within a line.
    let count = 2_000
    var ends: [Int] = []
    for number in 0..<count { ends.append((ends.last ?? 0) + line(record(number)).utf8.count) }
    let writer = try RecordWriter(settings(path, limit: 4_000), log: Log(sink: Collected()))
    for number in 0..<count { writer.submit(filling: record(number)) }
    let probe = open(path, O_WRONLY | O_NONBLOCK)
    var entry = pollfd(fd: probe, events: Int16(POLLOUT), revents: 0)
    while poll(&entry, 1, 0) > 0 { sched_yield() }
    close(probe)
    var accepted: Int32 = 0
    try #require(ioctl(first, UInt(FIONREAD), &accepted) == 0)
    let cut = try #require(ends.firstIndex { $0 > accepted })
    close(first)
    // Until the writer has noticed, the pipe is still the first reader's, and what is left in it too.
    while writer.statistics.errors == 0 { sched_yield() }
    let second = open(path, O_RDONLY | O_NONBLOCK)
    defer { close(second) }
    let text = read(from: second, until: "\"id\":\"r\(count - 1)\"")
    let ids = text.split(separator: "\n").map { id($0) }
    // The pipe may have taken the end of a line more after it was seen to be full.
    let start = ids.first == "r\(cut)" ? cut : cut + 1
    #expect(ids == (start..<count).map { "r\($0)" })
    #expect(writer.close(timeoutMilliseconds: 10_000) == 0)
  }

  @Test("Rotation by renaming under load loses no line and splits none")
  func rotation() async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let path = folder.file("log")
    let writer = try RecordWriter(settings(path, limit: 100_000))
    let total = 20_000
    async let load: Void = {
      for number in 0..<total { writer.submit(filling: record(number)) }
    }()
    var parts: [String] = []
    while parts.count < 10 {
      let old = folder.file("log.\(parts.count)")
      // Until the writer has made the new file there is nothing to rename.
      if rename(path, old) == 0 {
        parts.append(old)
        writer.reopen()
      }
      await Task.yield()
    }
    await load
    #expect(writer.close(timeoutMilliseconds: 30_000) == 0)
    if FileManager.default.fileExists(atPath: path) { parts.append(path) }
    let ids = try parts.flatMap { try lines($0).map(id) }
    #expect(ids.count == total)
    #expect(ids == (0..<total).map { "r\($0)" })
    #expect(writer.statistics.errors == 0)
  }

  @Test("A path that cannot be opened is said at the start")
  func badPath() {
    #expect(
      throws: RecordWriterError(description: "cannot open the record log /nonexistent/log: No such file or directory")
    ) { _ = try RecordWriter(settings("/nonexistent/log")) }
    #expect(throws: RecordWriterError.self) { _ = try RecordWriter(settings("/tmp")) }
  }

  @Test("Records submitted after the end are counted as dropped")
  func afterTheEnd() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let writer = try RecordWriter(settings(folder.file("log")))
    writer.close(timeoutMilliseconds: 1_000)
    writer.submit(filling: record(1))
    #expect(writer.statistics.dropped == 1)
    #expect(writer.close(timeoutMilliseconds: 1_000) == 0)
  }
}
