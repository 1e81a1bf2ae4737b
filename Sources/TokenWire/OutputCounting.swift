// Counting generated text into an observation: what the dialects share whatever their shape.
import JSON

extension ChoiceOutput {
  /// Counts a string of generated text, where it is one and not empty.
  @inline(__always)
  mutating func add(_ text: JSONValue?, as kind: OutputKinds) {
    guard let text, let scalars = text.scalarCount, scalars > 0 else { return }
    self.scalars += scalars
    kinds.formUnion(kind)
  }

  /// Counts generated output that need not be a string (arguments written as an object): its compact JSON.
  mutating func add(compact value: JSONValue?, as kind: OutputKinds) {
    guard let value, !value.isNull else { return }
    if value.isString { return add(value, as: kind) }
    scalars += value.compactScalarCount ?? 0
    kinds.formUnion(kind)
  }
}

extension JSONValue {
  /// A string that can be a name: neither empty nor longer than any name is.
  var name: String? {
    guard let count = utf8Count, 1...longestName ~= count else { return nil }
    return string
  }

  /// A count (of tokens, of nanoseconds): a whole number that is not negative, and small enough that sums of such
  /// numbers cannot overflow.
  var tokenCount: Int? { int.flatMap { 0...(1 << 53) ~= $0 ? $0 : nil } }

  /// The length of an array that is not empty.
  var listLength: Int? {
    guard isArray, let count, count > 0 else { return nil }
    return count
  }
}

/// The longest model, user or session name that is kept, in UTF-8 bytes: a longer one is no name.
let longestName = 512
