// What happens at the end of a loop's turn.
import Testing

@testable import Transport

@Suite("The end of a turn")
struct CheckHandleTests {
  @Test("It comes after all callbacks of the turn, and does not keep the loop running")
  func order() throws {
    let loop = try EventLoop()
    var seen: [String] = []
    let mailbox = try Mailbox<String>(loop: loop) { seen.append($0) }
    let end = CheckHandle(loop: loop) { seen.append("end") }
    mailbox.post("a")
    mailbox.post("b")
    loop.runOnce(waiting: true)
    #expect(seen == ["a", "b", "end"])
    mailbox.close()
    // Returns, for nothing else is open.
    loop.run()
    end.close()
    seen = []
    loop.run()
    #expect(seen.isEmpty)
  }
}
