// The kinds of failure: stable words, and a table in the reference that names each.
import Foundation
import Testing

@testable import Measurement

@Suite("Why an exchange failed")
struct ExchangeFailureTests {
  @Test("A record's text begins with the kind, and is read back; an older text has no kind")
  func text() {
    let failure = ExchangeFailure(.connectFailed, "connect: connection refused (ECONNREFUSED)")
    #expect(failure.description == "connect_failed: connect: connection refused (ECONNREFUSED)")
    #expect(ExchangeFailure(recorded: failure.description) == failure)
    for older in ["connect: connection refused (ECONNREFUSED)", "Host missing", ""] {
      #expect(ExchangeFailure(recorded: older) == nil)
    }
  }

  @Test("The reference names every kind with its side, and no other")
  func reference() throws {
    let top = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let page = try String(
      contentsOf: top.appending(path: "Sources/tachograph/Documentation.docc/Record.md"), encoding: .utf8)
    let table = page.components(separatedBy: "| kind | side | what happened |\n|---|---|---|\n").last ?? ""
    let rows = table.components(separatedBy: "\n\n")[0].split(separator: "\n").map { row in
      row.split(separator: "|").prefix(2).map { $0.trimmingCharacters(in: .whitespaces) }
    }
    let expected = ExchangeFailure.Kind.allCases.map { ["`\($0.rawValue)`", $0.side.rawValue] }
    #expect(rows == expected)
  }
}
