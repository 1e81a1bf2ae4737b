// Memory for values of one type, kept for the next value.

/// Memory for values of one type. Freed blocks are kept for the next values: an exchange's state is larger than what malloc
/// caches, and the block that was used last is still in the processor's caches. Confined to one thread.
@safe
final class FreeList<Value: ~Copyable> {
  private let spare: UnsafeMutableBufferPointer<UnsafeMutablePointer<Value>>
  private var count = 0

  /// - Parameter kept: how many unused blocks are kept at most.
  init(kept: Int) { unsafe spare = .allocate(capacity: kept) }

  deinit {
    for index in 0..<count { unsafe spare[index].deallocate() }
    unsafe spare.deallocate()
  }

  func allocate() -> UnsafeMutablePointer<Value> {
    guard count > 0 else { return .allocate(capacity: 1) }
    count -= 1
    return unsafe spare[count]
  }

  func deallocate(_ block: UnsafeMutablePointer<Value>) {
    guard unsafe count < spare.count else { return unsafe block.deallocate() }
    unsafe spare[count] = unsafe block
    count += 1
  }
}
