// What every dialect can write: the words between an answer's course and its bytes.
// It must not know about sockets or HTTP.
import Clocks

/// Counts and instants of an answer, for the dialects that report them.
struct ReplyTotals {
  /// Tokens of each choice written so far.
  var tokens = 0
  var isCutByLimit = false
  var startedAt: Instant
  var firstAt: Instant?
  var lastAt: Instant?
}

/// Writes the events and bodies of one answer. Each call appends exactly one event, or nothing where the dialect has
/// no such event.
protocol Rendering {
  /// The media type of the answer.
  var contentType: StaticString { get }
  /// The event that opens a choice before any token.
  func appendRole(choice: Int, to output: inout [UInt8])
  /// An event with the tokens numbered in `tokens`, of `paddedTo` bytes at least.
  func appendTokens(
    _ tokens: Range<Int>, choice: Int, isReasoning: Bool, paddedTo: Int, to output: inout [UInt8])
  /// The event that closes a choice.
  func appendFinish(choice: Int, _ totals: ReplyTotals, to output: inout [UInt8])
  /// The event with the counts of the whole answer.
  func appendUsage(_ totals: ReplyTotals, to output: inout [UInt8])
  /// The event that says that the stream is whole.
  func appendTerminator(_ totals: ReplyTotals, to output: inout [UInt8])
  /// An error inside the stream.
  func appendError(to output: inout [UInt8])
  /// The body of an answer that is not streamed.
  func appendWhole(_ totals: ReplyTotals, reasoningTokens: Int, to output: inout [UInt8])
}

extension [UInt8] {
  /// A JSON member that makes what was written since `start` at least `total` bytes long, `tail` more bytes to come.
  mutating func appendPadding(from start: Int, upTo total: Int, tail: Int, closing name: StaticString) {
    let missing = total - (count - start) - tail - name.utf8CodeUnitCount - 6
    guard total > 0, missing > 0 else { return }
    append(",\"" as StaticString)
    append(name)
    append("\":\"" as StaticString)
    append(contentsOf: repeatElement(UInt8(ascii: "x"), count: missing))
    append("\"" as StaticString)
  }
}
