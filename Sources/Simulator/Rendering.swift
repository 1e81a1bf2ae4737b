// What every dialect can write: the events and bodies of a reply.
import Clocks

/// Counts and instants of a reply, for the dialects that report them.
struct ReplyTotals {
  /// Tokens of each choice written so far.
  var tokens = 0
  var isCutByLimit = false
  /// Steps in which they were generated.
  var steps = 0
  var receivedAt: Instant
  var startedAt: Instant
  var firstAt: Instant?
  var lastAt: Instant?
}

/// The tokens of one choice that one event brings.
struct EventTokens {
  /// Those whose text is in it.
  var range: Range<Int>
  /// All of the choice so far, with those whose text never came.
  var total: Int
  /// Those since the last event.
  var new: Int
}

/// Writes the events and bodies of one reply. Each call appends exactly one event, or nothing where the dialect has
/// no such event.
protocol Rendering {
  /// The media type of the reply.
  var contentType: StaticString { get }
  /// The event that opens a choice before any token.
  func appendRole(choice: Int, to output: inout [UInt8])
  /// An event with tokens, of `paddedTo` bytes at least.
  func appendTokens(
    _ tokens: EventTokens, choice: Int, isReasoning: Bool, paddedTo: Int, to output: inout [UInt8])
  /// An event that names new tokens without showing them, where the dialect has one.
  func appendSilentTokens(_ tokens: EventTokens, choice: Int, to output: inout [UInt8])
  /// The event that closes a choice.
  func appendFinish(choice: Int, _ totals: ReplyTotals, to output: inout [UInt8])
  /// The event with the counts of the whole reply.
  func appendUsage(_ totals: ReplyTotals, to output: inout [UInt8])
  /// The event that terminates the stream.
  func appendTerminator(_ totals: ReplyTotals, to output: inout [UInt8])
  /// An error inside the stream.
  func appendError(to output: inout [UInt8])
  /// The body of a reply that is not streamed.
  func appendWhole(_ totals: ReplyTotals, reasoningTokens: Int, to output: inout [UInt8])
}

extension [UInt8] {
  /// Appends a JSON member that makes the bytes since `start` at least `total` bytes long, with `tail` more bytes to come.
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
