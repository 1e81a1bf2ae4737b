// A log followed on real files: growth, rotation by rename and by truncation, late files, pipes.
// It must not wait for time to pass: a follower looks when it is told to.
import Glibc
import TestSupport
import Testing

@testable import RecordLog

/// Steps until there is nothing more, and gives what came.
private func drain(_ follower: RecordFollower) throws -> [String] {
  var lines: [String] = []
  while try follower.step({ lines.append(text($0)) }) == .advanced {}
  return lines
}

@Suite("Following a log")
struct RecordFollowerTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path + "/log"
  }

  @Test("It starts with the last lines asked for and goes on with what is appended")
  func growth() throws {
    try folder.append("one\ntwo\nthree\n")
    let follower = RecordFollower(path: path, lastLines: 2)
    #expect(try drain(follower) == ["two", "three"])
    #expect(try drain(follower) == [])
    try folder.append("four\n")
    #expect(try drain(follower) == ["four"])
  }

  @Test(
    "The start is right for any number of lines, with a last line that is not finished",
    arguments: [(0, []), (1, ["b"]), (2, ["a", "b"]), (9, ["a", "b"]), (.max, ["a", "b"])])
  func start(_ count: Int, _ expected: [String]) throws {
    try folder.append("a\nb\npart")
    let follower = RecordFollower(path: path, lastLines: count)
    #expect(try drain(follower) == expected)
    try folder.append("ial\n")
    #expect(try drain(follower) == ["partial"])
  }

  @Test("The last lines are found across blocks")
  func longStart() throws {
    let long = String(repeating: "x", count: 100_000)
    try folder.append("\(long)1\n\(long)2\n\(long)3\n")
    #expect(try drain(RecordFollower(path: path, lastLines: 2)) == [long + "2", long + "3"])
  }

  @Test("A line waits for its newline")
  func partial() throws {
    try folder.append("whole\nhal")
    let follower = RecordFollower(path: path, lastLines: 10)
    #expect(try drain(follower) == ["whole"])
    try folder.append("f\n")
    #expect(try drain(follower) == ["half"])
  }

  @Test("After a rename it reads the old file to its end, then the new one from its start")
  func rename() throws {
    try folder.append("one\n")
    let follower = RecordFollower(path: path, lastLines: 10)
    #expect(try drain(follower) == ["one"])
    #expect(Glibc.rename(path, path + ".1") == 0)
    #expect(try drain(follower) == [])
    try folder.append("two, late\n", to: "log.1")
    try folder.append("three\n")
    #expect(try drain(follower) == ["two, late", "three"])
    try folder.append("four\n")
    #expect(try drain(follower) == ["four"])
    #expect(follower.tornLines == 0)
  }

  @Test("A new file that is still empty does not end the old one: its writer may not have reopened yet")
  func emptySuccessor() throws {
    try folder.append("one\n")
    let follower = RecordFollower(path: path, lastLines: 10)
    #expect(try drain(follower) == ["one"])
    #expect(Glibc.rename(path, path + ".1") == 0)
    try folder.append("")
    #expect(try drain(follower) == [])
    try folder.append("two\n", to: "log.1")
    #expect(try drain(follower) == ["two"])
    try folder.append("three\n")
    #expect(try drain(follower) == ["three"])
  }

  @Test("A truncated log is read from its start again, and a line cut in two is counted as torn")
  func truncation() throws {
    try folder.append("one\ntwo is cut")
    let follower = RecordFollower(path: path, lastLines: 10)
    #expect(try drain(follower) == ["one"])
    #expect(truncate(path, 0) == 0)
    try folder.append("new\n")
    #expect(try drain(follower) == ["new"])
    #expect(follower.tornLines == 1)
  }

  @Test("A second rotation and a second truncation are followed like the first")
  func again() throws {
    let follower = RecordFollower(path: path, lastLines: 10)
    for round in 1...2 {
      try folder.append("long line before the rotation \(round)\n")
      #expect(try drain(follower).last == "long line before the rotation \(round)")
      #expect(Glibc.rename(path, path + ".\(round)") == 0)
      // Shorter than what was read of the file before.
      try folder.append("new \(round)\ncut")
      #expect(try drain(follower) == ["new \(round)"])
      #expect(truncate(path, 0) == 0)
      try folder.append("t \(round)\n")
      #expect(try drain(follower) == ["t \(round)"])
      #expect(follower.tornLines == round)
    }
  }

  @Test("A file that comes later is read from its start")
  func late() throws {
    let follower = RecordFollower(path: path, lastLines: 0)
    #expect(try follower.step { _ in } == .idle)
    #expect(!follower.isOpen)
    try folder.append("first\n")
    #expect(try drain(follower) == ["first"])
  }

  @Test("A named pipe is followed through one writer after another")
  func namedPipe() throws {
    let fifo = folder.path + "/fifo"
    #expect(mkfifo(fifo, 0o600) == 0)
    let follower = RecordFollower(path: fifo, lastLines: 10)
    #expect(try drain(follower) == [])
    try folder.append("one\ntw", to: "fifo")
    #expect(try drain(follower) == ["one"])
    try folder.append("o\n", to: "fifo")
    #expect(try drain(follower) == ["two"])
  }

  @Test("A caller that stops may have the unfinished line")
  func finish() throws {
    try folder.append("one\nrest")
    let follower = RecordFollower(path: path, lastLines: 10)
    #expect(try drain(follower) == ["one"])
    var rest: [String] = []
    follower.finish { rest.append(text($0)) }
    #expect(rest == ["rest"])
  }

  @Test("A folder cannot be followed, and output that nobody reads is noticed while waiting")
  func refusals() throws {
    #expect(throws: RecordReadError.isDirectory(path: folder.path)) {
      try RecordFollower(path: folder.path, lastLines: 1).step { _ in }
    }
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    defer { close(ends[1]) }
    let follower = RecordFollower(path: path, lastLines: 1)
    #expect(follower.wait(milliseconds: 0, watching: ends[1]))
    close(ends[0])
    #expect(!follower.wait(milliseconds: 0, watching: ends[1]))
  }
}
