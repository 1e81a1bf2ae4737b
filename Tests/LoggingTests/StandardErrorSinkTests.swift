// Lines on a pipe that stands in for standard error: read, full, and without a reader.
import Glibc
import Testing

@testable import Logging

/// A pipe whose reading end does not block.
private final class Pipe {
  private(set) var reading: Int32 = -1
  let writing: Int32
  private var text = ""

  init() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    (reading, writing) = (ends[0], ends[1])
    _ = fcntl(reading, F_SETFL, O_NONBLOCK)
    // A sink's thread outlives its test: what it would write to must not become another test's descriptor.
    _ = fcntl(writing, F_SETFD, FD_CLOEXEC)
  }

  deinit { closeReading() }

  func closeReading() {
    if reading >= 0 { close(reading) }
    reading = -1
  }

  /// Fills the pipe with spaces.
  func fill() {
    _ = fcntl(writing, F_SETFL, O_NONBLOCK)
    let spaces = [UInt8](repeating: 0x20, count: 4_096)
    while write(writing, spaces, spaces.count) > 0 {}
    // As standard error usually is.
    _ = fcntl(writing, F_SETFL, 0)
  }

  var hasBytes: Bool {
    var entry = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) == 1
  }

  /// The whole lines so far, without the spaces of `fill`.
  private var lines: [String] {
    text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { String($0.drop { $0 == " " }) }
  }

  /// Reads until the whole lines so far are what `isEnough` waits for, or nothing comes for ten seconds.
  func lines(until isEnough: ([String]) -> Bool) -> [String] {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while !isEnough(lines) {
      var entry = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 10_000) == 1, case let count = read(reading, &buffer, buffer.count), count > 0 else {
        break
      }
      text += String(decoding: buffer[..<count], as: UTF8.self)
    }
    return lines
  }

  /// Reads until the last line ends with `ending`.
  func lines(endingWith ending: String) -> [String] { lines { $0.last?.hasSuffix(ending) == true } }
}

/// The messages that are missing by all notices together: a slow start of the thread makes two of one.
private func missing(_ lines: [String]) -> Int {
  lines.compactMap { line in
    line.firstMatch(of: /^name: warning: (\d+) messages are missing here: standard error did not accept them in time$/)
      .flatMap { Int($0.1) }
  }.reduce(0, +)
}

@Suite("StandardErrorSink", .timeLimit(.minutes(1)))
struct StandardErrorSinkTests {
  @Test("Each message is a line with the program's name, and its level where that matters")
  func format() throws {
    let pipe = try Pipe()
    let log = Log(level: .debug, sink: StandardErrorSink(program: "name", descriptor: pipe.writing))
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    #expect(pipe.lines(endingWith: ": d") == ["name: debug: a", "name: b", "name: warning: c", "name: error: d"])
    #expect(log.droppedMessages == 0)
  }

  @Test("A full pipe holds nobody up; once it is read the lines that waited come, and how many are missing")
  func fullPipe() throws {
    let pipe = try Pipe()
    pipe.fill()
    let log = Log(sink: StandardErrorSink(program: "name", descriptor: pipe.writing, queueLimit: 10))
    // Were a message written on this thread, the pipe would block it for good.
    for number in 0..<100 { log.info("message \(number)") }
    #expect(log.droppedMessages == 90)
    let lines = pipe.lines { missing($0) >= 90 }
    #expect(lines.filter { !$0.contains("missing") } == (0..<10).map { "name: message \($0)" })
    #expect(missing(lines) == 90)
    #expect(lines.last?.contains("missing") == true)
  }

  @Test("A second full pipe is reported with its own number, and messages after it are logged")
  func fullPipeTwice() throws {
    let pipe = try Pipe()
    let log = Log(sink: StandardErrorSink(program: "name", descriptor: pipe.writing, queueLimit: 10))
    var dropped = 0
    for (round, drops) in [(1, 20), (2, 5)] {
      log.flush(milliseconds: 10_000)
      pipe.fill()
      for _ in 0..<(10 + drops) { log.info("round \(round)") }
      dropped += drops
      let lines = pipe.lines { missing($0) >= dropped }
      #expect(missing(lines) == dropped)
      #expect(lines.filter { $0 == "name: round \(round)" }.count == 10)
    }
    log.flush(milliseconds: 10_000)
    log.info("after")
    #expect(pipe.lines(endingWith: "after").last == "name: after")
    #expect(log.droppedMessages == 25)
  }

  @Test("A flush returns when all is written, and gives up on a full pipe when its time has passed")
  func flush() throws {
    let pipe = try Pipe()
    let sink = StandardErrorSink(program: "name", descriptor: pipe.writing)
    sink.accept(Log.Entry(level: .info, message: "a"))
    sink.flush(milliseconds: 10_000)
    #expect(pipe.hasBytes)
    #expect(pipe.lines(endingWith: ": a") == ["name: a"])
    pipe.fill()
    sink.accept(Log.Entry(level: .info, message: "b"))
    sink.flush(milliseconds: 20)
    #expect(pipe.lines(endingWith: ": b").last == "name: b")
  }

  @Test("A flush waits for the notice of missing messages, too")
  func flushOfNotice() throws {
    let pipe = try Pipe()
    pipe.fill()
    let sink = StandardErrorSink(program: "name", descriptor: pipe.writing, queueLimit: 0)
    sink.accept(Log.Entry(level: .info, message: "a"))
    // The pipe stays full, so that the flush ends when its time has passed, and not before.
    #expect(ContinuousClock().measure { sink.flush(milliseconds: 20) } >= .milliseconds(20))
    #expect(missing(pipe.lines { !$0.isEmpty }) == 1)
    sink.flush(milliseconds: 10_000)
    #expect(sink.droppedMessages == 1)
  }

  @Test("A line of which standard error accepts a part is written to its end")
  func partOfLine() throws {
    var ends: [Int32] = [-1, -1]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
    defer { close(ends[1]) }
    // The smallest buffer there is: behind `first`, it has room for a part of the line.
    var size: Int32 = 1
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    let first = [UInt8](repeating: 0x20, count: 300)
    try #require(write(ends[0], first, first.count) == first.count)
    let message = String(repeating: "x", count: 4_000)
    StandardErrorSink(program: "name", descriptor: ends[0]).accept(Log.Entry(level: .info, message: message))
    var buffer = [UInt8](repeating: 0, count: 8_192)
    while recv(ends[1], &buffer, buffer.count, Int32(MSG_PEEK)) == first.count { sched_yield() }
    let expected = String(decoding: first, as: UTF8.self) + "name: \(message)\n"
    var bytes: [UInt8] = []
    while bytes.count < expected.utf8.count {
      var entry = pollfd(fd: ends[1], events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 10_000) == 1 else { break }
      let count = recv(ends[1], &buffer, buffer.count, 0)
      bytes += buffer.prefix(max(count, 0))
    }
    #expect(String(decoding: bytes, as: UTF8.self) == expected)
  }

  @Test("A reader that has gone stops nothing: its messages are dropped and counted")
  func noReader() throws {
    let pipe = try Pipe()
    pipe.closeReading()
    let log = Log(sink: StandardErrorSink(program: "name", descriptor: pipe.writing))
    log.info("a")
    log.flush(milliseconds: 10_000)
    #expect(log.droppedMessages == 1)
  }

  @Test("A line is no longer than a pipe takes in one piece, and ends at a whole character", arguments: 0..<4)
  func longLine(shift: Int) throws {
    let pipe = try Pipe()
    let log = Log(sink: StandardErrorSink(program: "name", descriptor: pipe.writing))
    log.info(String(repeating: "x", count: shift) + String(repeating: "€", count: 3_000))
    log.info("next")
    let lines = pipe.lines(endingWith: "next")
    try #require(lines.count == 2)
    #expect(lines[0].utf8.count < Int(PIPE_BUF) && lines[0].utf8.count > Int(PIPE_BUF) - 8)
    #expect(lines[0].hasSuffix("€…") && !lines[0].unicodeScalars.contains("\u{FFFD}"))
  }
}
