// Values at an address of their own, for the state that a short exchange touches a hundred times.
// It must not be shared between threads, nor know what it holds.

/// Owns one value and lends it in place.
///
/// A struct stored in a class is checked for a second access at each use, and an optional one is copied to be looked at;
/// behind a pointer neither happens (ParserState and OutputBuffer do the same for their rooms). The compiler's rule
/// against overlapping accesses then holds only within a function: whoever holds it must not come back to it from a
/// callback of its own methods.
@safe
struct UniqueBox<Value: ~Copyable>: ~Copyable {
  private let pointer: UnsafeMutablePointer<Value>
  private let blocks: FreeList<Value>

  /// - Parameters:
  ///   - blocks: where the memory comes from and goes back to.
  ///   - make: makes the value, in its place.
  @inline(__always)
  init(in blocks: FreeList<Value>, _ make: () -> Value) {
    self.blocks = blocks
    unsafe pointer = blocks.allocate()
    unsafe pointer.initialize(to: make())
  }

  /// The same, of a value that is there already, in the allocator's own memory.
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

  /// Where the value lies, for whoever has it told when the box goes.
  var address: UnsafeMutablePointer<Value> { @inline(__always) get { unsafe pointer } }
}
