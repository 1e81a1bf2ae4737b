// Values at an address of their own, for state that a short exchange uses a hundred times.

/// Owns one value and lends it in place. Confined to one thread.
///
/// A struct stored in a class is checked for a second access at each use, and an optional one is copied to be read; behind a
/// pointer neither happens (`ParserState` and `OutputBuffer` do the same). The compiler then finds overlapping accesses only
/// within a function: the owner must not use the box from a callback of the value's own methods.
@safe
struct UniqueBox<Value: ~Copyable>: ~Copyable {
  private let pointer: UnsafeMutablePointer<Value>
  private let blocks: FreeList<Value>

  /// - Parameters:
  ///   - blocks: where the memory comes from and is put back.
  ///   - make: makes the value, in its place.
  @inline(__always)
  init(in blocks: FreeList<Value>, _ make: () -> Value) {
    self.blocks = blocks
    unsafe pointer = blocks.allocate()
    unsafe pointer.initialize(to: make())
  }

  /// Boxes a value that there is already, in memory of its own.
  init(_ value: consuming Value) {
    blocks = FreeList(kept: 0)
    unsafe pointer = blocks.allocate()
    unsafe pointer.initialize(to: value)
  }

  deinit {
    unsafe pointer.deinitialize(count: 1)
    unsafe blocks.deallocate(pointer)
  }

  /// The value, in place.
  var value: Value {
    @inline(__always)
    _read { yield unsafe pointer.pointee }
    @inline(__always)
    nonmutating _modify { yield unsafe &pointer.pointee }
  }

  /// The value's address, valid as long as the box is.
  var address: UnsafeMutablePointer<Value> { @inline(__always) get { unsafe pointer } }
}
