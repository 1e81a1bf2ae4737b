// The sink at a path: torn lines, other processes that write to the same file, FIFOs, reopening.
import Foundation
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
}
