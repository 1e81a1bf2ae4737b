// How many connection attempts a loop may have open beside the first of each connector.

/// What racing addresses may cost in descriptors: all connectors of a loop share one. Confined to the loop's thread.
public final class AttemptBudget {
  /// Attempts that may still begin.
  public private(set) var available: Int

  /// An allowance of `count` attempts at a time.
  public init(_ count: Int) { available = count }

  /// Records that a connector that had `before` attempts beside its first now has `after`.
  func adjust(from before: Int, to after: Int) { available += before - after }
}
