// Optionals without the padding that Swift gives them: a meter holds a few dozen, and a proxy thousands of meters.
import Clocks
import TokenWire

/// An instant or nil, in eight bytes instead of sixteen.
@propertyWrapper
struct PackedInstant: Sendable {
  private var raw = UInt64.max

  init(wrappedValue: Instant?) { self.wrappedValue = wrappedValue }

  var wrappedValue: Instant? {
    get { raw == .max ? nil : Instant(nanoseconds: raw) }
    set { raw = newValue?.nanoseconds ?? .max }
  }
}

/// A number or nil, in eight bytes instead of sixteen.
@propertyWrapper
struct PackedInt: Sendable {
  private var raw = Int.min

  init(wrappedValue: Int?) { self.wrappedValue = wrappedValue }

  var wrappedValue: Int? {
    get { raw == .min ? nil : raw }
    set { raw = newValue ?? .min }
  }
}

/// A usage in half the space, each field as it was last stated.
struct MergedUsage: Sendable {
  @PackedInt private(set) var input: Int? = nil
  @PackedInt private(set) var cached: Int? = nil
  @PackedInt private(set) var cacheWrite: Int? = nil
  @PackedInt private(set) var output: Int? = nil
  @PackedInt private(set) var reasoning: Int? = nil

  /// Replaces every field that `usage` states.
  mutating func merge(_ usage: TokenUsage) {
    input = usage.input ?? input
    cached = usage.cached ?? cached
    cacheWrite = usage.cacheWrite ?? cacheWrite
    output = usage.output ?? output
    reasoning = usage.reasoning ?? reasoning
  }
}
