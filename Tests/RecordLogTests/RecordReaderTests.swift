// Files into lines: whole, by ranges, in blocks split anywhere, and what cannot be read at all.
import Glibc
import TestSupport
import Testing

@testable import RecordLog

func text(_ line: RawSpan) -> String { line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

@Suite("Reading a log")
struct RecordReaderTests {
  @Test("Lines come out the same however the blocks are cut, and empty ones are left out")
  func splits() {
    let input = Array("one\n\ntwo and more\nthree\nunfinished".utf8)
    for first in 0...input.count {
      for second in first...input.count {
        var splitter = LineSplitter()
        var lines: [String] = []
        for part in [input[..<first], input[first..<second], input[second...]] {
          splitter.push(part.span.bytes) { lines.append(text($0)) }
        }
        #expect(lines == ["one", "two and more", "three"])
        splitter.finish { lines.append(text($0)) }
        #expect(lines.last == "unfinished")
      }
    }
  }

  @Test("A line past the bound is passed over and counted, and the next one is read")
  func overlong() {
    var splitter = LineSplitter(maximumLineBytes: 8)
    var lines: [String] = []
    for part in ["short\n123456", "789", "0\nnext\n12345678", "\n"] {
      splitter.push(Array(part.utf8).span.bytes) { lines.append(text($0)) }
    }
    #expect(lines == ["short", "next", "12345678"])
    #expect(splitter.overlongLines == 1)
  }

  @Test("A line past the bound that the input ends is counted too, and nothing of it comes with the next input")
  func overlongAtTheEnd() {
    var splitter = LineSplitter(maximumLineBytes: 8)
    var lines: [String] = []
    for count in 1...2 {
      splitter.push(Array("a\n123456789".utf8).span.bytes) { lines.append(text($0)) }
      #expect(splitter.hasPartialLine)
      splitter.finish { lines.append(text($0)) }
      #expect(splitter.overlongLines == count && !splitter.hasPartialLine)
    }
    splitter.push(Array("b\n".utf8).span.bytes) { lines.append(text($0)) }
    splitter.finish { lines.append(text($0)) }
    #expect(lines == ["a", "a", "b"])
    #expect(splitter.overlongLines == 2)
  }

  @Test("A line past the bound that is dropped is a partial line, and the next one is read")
  func overlongDropped() {
    var splitter = LineSplitter(maximumLineBytes: 8)
    var lines: [String] = []
    for _ in 0..<2 {
      splitter.push(Array("123456789".utf8).span.bytes) { lines.append(text($0)) }
      let wasPartial = splitter.discardPartialLine()
      #expect(wasPartial)
      let isPartial = splitter.discardPartialLine()
      #expect(!isPartial)
      splitter.push(Array("b\n".utf8).span.bytes) { lines.append(text($0)) }
    }
    #expect(lines == ["b", "b"])
    #expect(splitter.overlongLines == 0)
  }

  @Test("Ranges that touch give every line exactly once, wherever they are cut")
  func ranges() throws {
    let folder = try TemporaryFolder()
    let content = "a\nbcd\n\nefgh\nij\nno newline"
    try folder.append(content)
    let reader = try RecordReader(path: folder.path + "/log")
    let size = try #require(reader.byteCount)
    #expect(size == content.utf8.count)
    for first in 0...size {
      for second in first...size {
        var lines: [String] = []
        for range in [0..<first, first..<second, second..<size] {
          _ = try reader.forEachLine(startingIn: range) { lines.append(text($0)) }
        }
        #expect(lines == ["a", "bcd", "efgh", "ij", "no newline"], "cut at \(first) and \(second)")
      }
    }
  }

  @Test("A line longer than a block is read whole from a range that holds only its first byte")
  func longLine() throws {
    let folder = try TemporaryFolder()
    let long = String(repeating: "x", count: RecordReader.blockBytes * 2 + 17)
    try folder.append("a\n\(long)\nz\n")
    let reader = try RecordReader(path: folder.path + "/log")
    var lines: [String] = []
    _ = try reader.forEachLine(startingIn: 2..<3) { lines.append(text($0)) }
    #expect(lines == [long])
    lines = []
    _ = try reader.forEachLine { lines.append(text($0)) }
    #expect(lines == ["a", long, "z"])
  }

  @Test("What is appended while a log is read is left for the next time")
  func growing() throws {
    let folder = try TemporaryFolder()
    try folder.append("a\n")
    let reader = try RecordReader(path: folder.path + "/log")
    try folder.append("b\n")
    var lines: [String] = []
    _ = try reader.forEachLine { lines.append(text($0)) }
    #expect(lines == ["a"])
  }

  @Test("A file that is not there and a folder are each named as what they are")
  func refusals() throws {
    let folder = try TemporaryFolder()
    let missing = folder.path + "/log.1"
    #expect(throws: RecordReadError.system(path: missing, call: "open", errno: ENOENT)) {
      try RecordReader(path: missing)
    }
    #expect(throws: RecordReadError.isDirectory(path: folder.path)) { try RecordReader(path: folder.path) }
    let failure = RecordReadError.system(path: "x", call: "open", errno: ENOENT)
    #expect("\(failure)" == "cannot open x: No such file or directory")
  }
}
