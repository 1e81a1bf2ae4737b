// A value at an address of its own, for the state that a short exchange touches a hundred times.
// It must not be shared between threads, nor know what it holds.

/// Owns one value and lends it in place.
///
/// A struct stored in a class is checked for a second access at each use, and an optional one is copied to be looked at;
/// behind a pointer neither happens (MessageState and OutputBuffer do the same for their rooms). The compiler's rule
/// against overlapping accesses then holds only within a function: whoever holds it must not come back to it from a
/// callback of its own methods.
@safe
struct Held<Value: ~Copyable>: ~Copyable {
  private let pointer: UnsafeMutablePointer<Value>

  init(_ value: consuming Value) {
    unsafe pointer = .allocate(capacity: 1)
    unsafe pointer.initialize(to: value)
  }

  deinit {
    unsafe pointer.deinitialize(count: 1)
    unsafe pointer.deallocate()
  }

  /// The value, in place.
  var value: Value {
    @inline(__always)
    _read { yield unsafe pointer.pointee }
    @inline(__always)
    nonmutating _modify { yield unsafe &pointer.pointee }
  }
}
