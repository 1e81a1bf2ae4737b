// The lock of a pipe that several have inherited: it separates them although they have one open file.
import Glibc
import TestSupport
import Testing

@testable import Logging

@Suite("PipeLock")
struct PipeLockTests {
  @Test("Two locks of one inherited descriptor exclude each other, and shared ones do not")
  func excludes() throws {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    let (one, other) = (try #require(PipeLock(of: ends[1])), try #require(PipeLock(of: ends[1])))
    #expect(one.lock(exclusively: true, milliseconds: 1))
    #expect(!other.lock(exclusively: true, milliseconds: 2) && !other.lock(exclusively: false, milliseconds: 2))
    one.unlock()
    #expect(other.lock(exclusively: false, milliseconds: 1) && one.lock(exclusively: false, milliseconds: 1))
    #expect(!one.lock(exclusively: true, milliseconds: 2))
  }

  @Test("What is no pipe has none")
  func noPipe() throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let file = open(try folder.write("", to: "file"), O_WRONLY)
    let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { for descriptor in [file, socket] { close(descriptor) } }
    for descriptor in [file, socket, -1] { #expect(PipeLock(of: descriptor) == nil) }
  }
}
