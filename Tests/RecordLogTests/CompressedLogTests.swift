// Compressed logs: read by their content, whatever their name; cut, damaged, and in formats that are not read.
import CZlib
import CZstd
import Foundation
import TestSupport
import Testing

@testable import RecordLog

/// `text` as a gzip file.
func gzipped(_ text: String, in folder: TemporaryFolder) throws -> Data {
  let path = folder.file("made.gz")
  let file = try #require(gzopen(path, "wb"))
  let bytes = Array(text.utf8)
  #expect(gzwrite(file, bytes, UInt32(bytes.count)) == Int32(bytes.count))
  #expect(gzclose(file) == Z_OK)
  return try Data(contentsOf: URL(fileURLWithPath: path))
}

/// `text` as a zstd frame.
func zstandard(_ text: String) -> Data {
  let bytes = Array(text.utf8)
  var frame = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
  let count = ZSTD_compress(&frame, frame.count, bytes, bytes.count, 3)
  return Data(frame.prefix(count))
}

@Suite("Compressed logs")
struct CompressedLogTests {
  private let folder: TemporaryFolder
  private let lines = (0..<40_000).map { "{\"v\":1,\"id\":\"r\($0)\",\"more\":\"\($0 &* 2_654_435_761)\"}" }

  init() throws { folder = try TemporaryFolder() }

  private var text: String { lines.joined(separator: "\n") + "\n" }

  private func path(_ data: Data) throws -> String {
    let path = folder.file("log.1")
    try data.write(to: URL(fileURLWithPath: path))
    return path
  }

  private func read(_ path: String) throws -> (lines: [String], skipped: Int) {
    var lines: [String] = []
    let skipped = try RecordReader(path: path).forEachLine { lines.append(RecordLogTests.text($0)) }
    return (lines, skipped)
  }

  @Test("gzip and zstd are read by their content: whole, and of several members or frames")
  func formats() throws {
    let (first, second) = (
      lines[..<30_000].joined(separator: "\n") + "\n{", String(lines[30_000].dropFirst()) + "\nend"
    )
    let expected = lines[...30_000] + ["end"]
    for data in [
      try gzipped(first + second, in: folder), try gzipped(first, in: folder) + gzipped(second, in: folder),
      zstandard(first + second), zstandard(first) + zstandard(second),
    ] {
      let read = try read(try path(data))
      #expect(read.lines == Array(expected) && read.skipped == 0)
    }
  }

  @Test("A FIFO may be compressed, too, and what is too short to tell is plain", arguments: [true, false])
  func fifo(isCompressed: Bool) throws {
    let path = folder.file("fifo")
    try #require(mkfifo(path, 0o600) == 0)
    let data = isCompressed ? try gzipped(text, in: folder) : Data("{}\n".utf8)
    Thread.detachNewThread { try? data.write(to: URL(fileURLWithPath: path)) }
    let read = try read(path)
    #expect(read.lines == (isCompressed ? lines : ["{}"]) && read.skipped == 0)
  }

  @Test("Of a file that was cut the lines before are read, and one is counted as cut", arguments: [true, false])
  func cut(isGzip: Bool) throws {
    let data = isGzip ? try gzipped(text, in: folder) : zstandard(text)
    let read = try read(try path(data.prefix(data.count * 3 / 4)))
    #expect(read.lines.count > 10_000 && read.lines == Array(lines.prefix(read.lines.count)))
    #expect(read.skipped == 1)
  }

  @Test("Damage ends the reading and is named")
  func damage() throws {
    var data = try gzipped(text, in: folder)
    data.replaceSubrange(20_000..<20_100, with: repeatElement(0xA5, count: 100))
    let path = try path(data)
    let error = #expect(throws: RecordReadError.self) { _ = try read(path) }
    #expect(error == .damaged(path: path, isTooLarge: false))
    #expect(error.map { "\($0)" } == "\(path) is compressed and damaged; what can be read of it: zcat or zstdcat")
  }

  @Test("Other formats are named with what reads them, and so is a compressed log that is to be followed")
  func refused() throws {
    let xz = try path(Data([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00, 0x00]))
    let error = #expect(throws: RecordReadError.self) { try RecordReader(path: xz) }
    #expect(error.map { "\($0)" } == "\(xz) is compressed with xz; read it with: xzcat \(xz) | tachograph report -")
    let gzip = try path(try gzipped("{}\n", in: folder))
    let follower = RecordFollower(path: gzip, lastLines: 10)
    let refusal = #expect(throws: RecordReadError.self) { _ = try follower.step { _ in } }
    #expect(
      refusal.map { "\($0)" } == "\(gzip) is compressed with gzip; read it with: zcat \(gzip) | tachograph tail -")
  }
}
