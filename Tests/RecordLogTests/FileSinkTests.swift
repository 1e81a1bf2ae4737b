// The sink at a path: torn lines, other processes that write to the same file, FIFOs, reopening.
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import RecordLog

extension RecordSink {
  /// Writes as much of `text` as is accepted now.
  func write(_ text: String) throws -> Int { try write(Array(text.utf8).span.bytes) }
}

/// What a FIFO holds.
private func content(of descriptor: Int32) -> String {
  var buffer = [UInt8](repeating: 0, count: 65_536)
  let count = read(descriptor, &buffer, buffer.count)
  return String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
}

@Suite("FileSink")
struct FileSinkTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("log")
  }

  private func openedSink() throws -> FileSink {
    let sink = FileSink(path: path)
    try sink.open()
    return sink
  }

  @Test("A line may come in pieces")
  func pieces() throws {
    let sink = try openedSink()
    for piece in ["o", "ne\ntw", "o\n"] { #expect(try sink.write(piece) == piece.utf8.count) }
    #expect(try lines(path) == ["one", "two"])
  }

  @Test("After a rename the new file begins with a whole line, each time anew")
  func reopenAfterRename() throws {
    let sink = try openedSink()
    for number in 1...3 {
      #expect(try sink.write("whole\nhal") == 9)
      #expect(rename(path, folder.file("old.\(number)")) == 0)
      try sink.open()
      #expect(try folder.text(of: "old.\(number)") == "whole\nhal")
    }
    #expect(try sink.write("half\n") == 5)
    #expect(try lines(path) == ["half"])
  }

  @Test("Where it cannot be opened again the old file stays in use, and the line that was begun is ended")
  func reopenFails() throws {
    let inner = folder.file("inner")
    try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
    let sink = FileSink(path: inner + "/log")
    try sink.open()
    #expect(try sink.write("whole\nhal") == 9)
    #expect(rename(inner, folder.file("moved")) == 0)
    #expect(throws: RecordSinkError(description: "No such file or directory")) { try sink.open() }
    #expect(sink.isOpen)
    #expect(try sink.write("half\n") == 5)
    // A whole line: there is nothing to end this time.
    #expect(throws: RecordSinkError.self) { try sink.open() }
    #expect(try sink.write("next\n") == 5)
    #expect(try lines(folder.file("moved/log")) == ["whole", "hal", "half", "next"])
  }

  @Test("A line that was begun in the same file is ended, whoever began it", arguments: [true, false])
  func sameFile(byThisSink: Bool) throws {
    let first = try openedSink()
    #expect(try first.write("whole\nhal") == 9)
    let sink = byThisSink ? first : FileSink(path: path)
    try sink.open()
    #expect(try sink.write("half\n") == 5)
    #expect(try lines(path) == ["whole", "hal", "half"])
  }

  @Test("A file whose last line is whole is only appended to", arguments: ["", "a\n"])
  func wholeLastLine(content: String) throws {
    try folder.append(content)
    #expect(try openedSink().write("b\n") == 2)
    #expect(try folder.text(of: "log") == content + "b\n")
  }

  @Test("A line that another process is in the middle of is not taken for torn")
  func lineInProgress() throws {
    let other = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o640)
    try #require(other >= 0)
    defer { close(other) }
    // What another process's write shows half-way through, and the lock by which it says so.
    #expect(flock(other, LOCK_SH) == 0)
    #expect(Glibc.write(other, "half ", 5) == 5)
    let sink = try openedSink()
    #expect(sink.endsWithTornLine)
    let rest = Thread {
      _ = Glibc.write(other, "whole\n", 6)
      flock(other, LOCK_UN)
    }
    rest.start()
    #expect(try sink.write("next\n") == 5)
    #expect(try lines(path) == ["half whole", "next"])
  }

  @Test("A new file may be read by its group and by nobody else")
  func mode() throws {
    _ = try openedSink()
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect((mode?.intValue ?? 0o777) & ~0o640 == 0)
  }
}

@Suite("FileSink at a FIFO")
struct FIFOSinkTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("fifo")
    try #require(mkfifo(path, 0o600) == 0)
  }

  private func reader() throws -> Int32 {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK)
    try #require(descriptor >= 0)
    return descriptor
  }

  @Test("Without a reader it cannot be opened yet, which is temporary")
  func noReader() throws {
    let sink = FileSink(path: path)
    let error = #expect(throws: RecordSinkError.self) { try sink.open() }
    #expect(error?.isTemporary == true)
    #expect(!sink.isOpen)
    let first = try reader()
    defer { close(first) }
    try sink.open()
    #expect(sink.isOpen)
  }

  @Test("A full FIFO accepts nothing and is no error")
  func full() throws {
    let reader = try reader()
    defer { close(reader) }
    let sink = FileSink(path: path)
    try sink.open()
    let line = String(repeating: "x", count: 4_095) + "\n"
    var accepted = 0
    while case let count = try sink.write(line), count > 0 { accepted += count }
    #expect(accepted >= 4_096)
    #expect(sink.isOpen && sink.writability != nil)
    #expect(content(of: reader).utf8.count > 0)
    #expect(try sink.write(line) > 0)
  }

  @Test("A line that a reopening cut is ended for the reader, which has its beginning")
  func reopen() throws {
    let reader = try reader()
    defer { close(reader) }
    let sink = FileSink(path: path)
    try sink.open()
    #expect(try sink.write("whole\nhal") == 9)
    try sink.open()
    #expect(try sink.write("half\n") == 5)
    try sink.open()
    #expect(try sink.write("next\n") == 5)
    #expect(content(of: reader) == "whole\nhal\nhalf\nnext\n")
  }

  @Test("When its reader has gone it is closed, and the next reader gets nothing of the line that was cut")
  func readerGone() throws {
    let first = try reader()
    let sink = FileSink(path: path)
    try sink.open()
    #expect(try sink.write("whole\nhal") == 9)
    close(first)
    _ = signal(SIGPIPE, SIG_IGN)
    #expect(throws: RecordSinkError(description: "Broken pipe")) { try sink.write("f\n") }
    #expect(!sink.isOpen)
    let second = try reader()
    defer { close(second) }
    try sink.open()
    #expect(try sink.write("half\n") == 5)
    #expect(content(of: second) == "half\n")
  }

  /// What all writers have written, once they are done.
  private func everything(from reader: Int32, until isDone: @escaping () -> Bool) -> String {
    var text = ""
    while true {
      let done = isDone()
      let piece = content(of: reader)
      text += piece
      if piece.isEmpty, done { return text }
      if piece.isEmpty { sched_yield() }
    }
  }

  /// Writes all of `lines` as a writer does.
  private static func write(_ lines: String, to sink: FileSink) throws {
    var rest = Array(lines.utf8)[...]
    while !rest.isEmpty {
      let accepted = try sink.write(rest.span.bytes)
      rest = rest.dropFirst(accepted)
      if accepted == 0 { usleep(200) }
    }
  }

  @Test("Of several writers to one FIFO every line is whole, also those longer than one write can be")
  func severalWriters() throws {
    let reader = try reader()
    defer { close(reader) }
    let writers = 3
    let done = Mutex(0)
    for writer in 0..<writers {
      Thread.detachNewThread { [path] in
        let sink = FileSink(path: path)
        try? sink.open()
        var random = SeededRandom(seed: UInt64(writer))
        for _ in 0..<60 {
          // Batches of short lines that are longer together than PIPE_BUF, and now and then a line that is longer alone.
          let lengths = (0..<12).map { _ in Int.random(in: 1...9, using: &random) == 9 ? 30_000 : 700 }
          let batch = lengths.map { String(repeating: "\(writer)", count: $0) + "\n" }.joined()
          try? Self.write(batch, to: sink)
        }
        sink.close()
        done.withLock { $0 += 1 }
      }
    }
    let text = everything(from: reader) { done.withLock { $0 == writers } }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    #expect(lines.count == writers * 60 * 12)
    let torn = lines.filter { ($0.count != 700 && $0.count != 30_000) || Set($0).count != 1 }
    #expect(torn.isEmpty, "\(torn.count) lines of \(lines.count) are torn")
  }

  @Test("While another writer is within a long line nothing is written, and the sink is not called writable")
  func lockedOut() throws {
    let reader = try reader()
    defer { close(reader) }
    let (first, second) = (FileSink(path: path), FileSink(path: path))
    try first.open()
    try second.open()
    let long = String(repeating: "x", count: 200_000) + "\n"
    let accepted = try first.write(long)
    #expect(accepted > 0 && accepted < long.utf8.count)
    #expect(try second.write("short\n") == 0)
    #expect(second.writability == nil)
    var text = content(of: reader)
    var rest = Array(long.utf8).dropFirst(accepted)
    while !rest.isEmpty {
      rest = rest.dropFirst(try first.write(rest.span.bytes))
      text += content(of: reader)
    }
    #expect(try second.write("short\n") == 6)
    #expect(second.writability != nil)
    while case let piece = content(of: reader), !piece.isEmpty { text += piece }
    #expect(text == long + "short\n")
  }
}
