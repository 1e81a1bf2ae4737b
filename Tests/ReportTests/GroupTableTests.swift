// Bounded memory: folding the smallest groups, and merging parts that have folded different ones.
import TestSupport
import Testing

@testable import Report

@Suite("Many groups")
struct GroupTableTests {
  private static func lines(_ users: [Int]) -> [String] { users.map { line(["user": "\"u\($0)\""]) } }

  @Test("The smallest groups are folded, the largest stay whole, and nothing is lost")
  func folding() {
    var limits = ReportLimits()
    limits.groups = 10
    let heavy = (0..<5).flatMap { user in [Int](repeating: user, count: 10) }
    let light = Array(100..<200)
    let summary = ReportSummary(tally(Self.lines(heavy + light + heavy), by: .user, limits: limits), top: 5)
    #expect(summary.keys == ["u0", "u1", "u2", "u3", "u4"])
    #expect(summary.groups.allSatisfy { $0.requests == 20 })
    #expect(summary.other?.requests == 100)
    #expect(summary.other?.name == .other(keys: 100, hasUncountedKeys: false))
    #expect(summary.all.requests == 200)
  }

  @Test("A folded key stays folded: a group that is shown is never a part of one")
  func staysFolded() {
    var limits = ReportLimits()
    limits.groups = 2
    let users = [1, 1, 2, 2, 3, 4] + [Int](repeating: 3, count: 50) + [Int](repeating: 4, count: 50)
    let summary = ReportSummary(tally(Self.lines(users), by: .user, limits: limits), top: .max)
    #expect(summary.keys == ["u1", "u2"])
    #expect(summary.other?.requests == 102)
  }

  @Test("Where one of two parts has folded a key, the whole folds it")
  func mergeFolds() {
    var limits = ReportLimits()
    limits.groups = 2
    let first = tally(Self.lines([1, 1, 2, 2, 3, 4]), by: .user, limits: limits)
    let second = tally(Self.lines([3, 3, 3, 1]), by: .user, limits: limits)
    for (into, other) in [(first, second), (second, first)] {
      var merged = into
      merged.merge(other)
      let summary = ReportSummary(merged, top: .max)
      #expect(summary.keys == ["u1", "u2"])
      #expect(summary.groups.map(\.requests) == [3, 2])
      #expect(summary.other?.requests == 5)
    }
  }

  @Test("Keys past the bound go to the folded ones, in merging too")
  func tooManyKeys() {
    var limits = ReportLimits()
    limits.keys = 3
    let full = tally(Self.lines([1, 2, 3, 4, 4, 5]), by: .user, limits: limits)
    var summary = ReportSummary(full, top: .max)
    #expect(summary.keys == ["u1", "u2", "u3"])
    #expect(summary.other?.requests == 3)
    #expect(summary.other?.name == .other(keys: 0, hasUncountedKeys: true))
    for (into, other) in [(full, tally(Self.lines([4, 1]), by: .user)), (tally(Self.lines([4, 1]), by: .user), full)] {
      var merged = into
      merged.merge(other)
      summary = ReportSummary(merged, top: .max)
      #expect(summary.keys == ["u1", "u2", "u3"])
      #expect(summary.groups.first?.requests == 2)
      #expect(summary.other?.requests == 4)
    }
  }

  @Test("Memory over the bound folds groups until half of it is left")
  func memory() {
    var limits = ReportLimits()
    limits.bytes = 64 * 1024
    // Memory is checked every 65,536 rows.
    var random = SeededRandom(seed: 1)
    var table = GroupTable(limits: limits)
    var row = ReportRow()
    for count in 0..<65_536 {
      row.ttft = UInt64.random(in: 1...1_000_000, using: &random)
      let destination = table.destination(of: Array("u\(count % 100)".utf8).span)
      table.add(row, to: destination)
    }
    #expect(table.named.count < 100)
    #expect(table.named.reduce(0) { $0 + $1.tally.footprintBytes } <= limits.bytes / 2)
    #expect(table.folded.requests + table.named.reduce(0) { $0 + $1.tally.requests } == 65_536)
  }

  @Test("Keys are told apart by every byte, through growth, and found again by their number")
  func interning() {
    var keys = KeyInterner()
    let names = (0..<1000).map { Array("key \($0)".utf8) } + [[], [0], [0, 0], Array("käse".utf8)]
    for (number, name) in names.enumerated() { #expect(keys.intern(name.span) == number) }
    for (number, name) in names.enumerated() {
      #expect(keys.intern(name.span) == number)
      #expect(keys.find(name.span) == number)
      #expect(Array(keys.bytes(of: number)) == name)
    }
    #expect(keys.find([1].span) == nil)
  }
}
