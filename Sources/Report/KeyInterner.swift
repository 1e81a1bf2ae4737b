// A number for each distinct group key, found by the key's bytes, so that no String is made per line.

/// A bounded set of byte strings, each with the number that it got when it was first added.
struct KeyInterner: Sendable {
  private let maximumKeys: Int
  private let maximumBytes: Int
  /// All keys, end to end, and where each ends.
  private var arena: [UInt8] = []
  private var ends: [Int] = []
  private var hashes: [Int] = []
  /// Open addressing: a key's number plus one, or 0 for a free slot. The size is a power of two.
  private var slots = [UInt32](repeating: 0, count: 64)
  /// A key has been rejected: from then on, a key that is not here may have been added in vain.
  private(set) var isFull = false

  init(maximumKeys: Int = 1_000_000, maximumBytes: Int = 64 << 20) {
    self.maximumKeys = maximumKeys
    self.maximumBytes = maximumBytes
  }

  var count: Int { ends.count }

  func bytes(of key: Int) -> ArraySlice<UInt8> { arena[range(of: key)] }

  private func range(of key: Int) -> Range<Int> { (key == 0 ? 0 : ends[key - 1])..<ends[key] }

  /// The number of `key`; nil where it is not here.
  func find(_ key: Span<UInt8>) -> Int? {
    let slot = slot(of: key, hash: Self.hash(key))
    return slots[slot] == 0 ? nil : Int(slots[slot]) - 1
  }

  /// The number of `key`, a new one where it is not here yet; nil where it is new and does not fit.
  mutating func intern(_ key: Span<UInt8>) -> Int? {
    let hash = Self.hash(key)
    let slot = slot(of: key, hash: hash)
    if slots[slot] != 0 { return Int(slots[slot]) - 1 }
    guard !isFull, count < maximumKeys, arena.count + key.count <= maximumBytes else {
      isFull = true
      return nil
    }
    for index in key.indices { arena.append(key[index]) }
    ends.append(arena.count)
    hashes.append(hash)
    slots[slot] = UInt32(count)
    if count * 2 > slots.count { grow() }
    return count - 1
  }

  /// Seeded at random in each process: names come from clients, who must not be able to make them collide.
  private static func hash(_ key: Span<UInt8>) -> Int {
    var hasher = Hasher()
    unsafe key.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    return hasher.finalize()
  }

  /// The slot of `key`, or the free one where it would be.
  private func slot(of key: Span<UInt8>, hash: Int) -> Int {
    var slot = hash & (slots.count - 1)
    while slots[slot] != 0 {
      let known = Int(slots[slot]) - 1
      if hashes[known] == hash, isKey(key, at: range(of: known)) { return slot }
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private func isKey(_ key: Span<UInt8>, at range: Range<Int>) -> Bool {
    guard key.count == range.count else { return false }
    return key.indices.allSatisfy { key[$0] == arena[range.lowerBound + $0] }
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 4)
    for key in hashes.indices {
      var slot = hashes[key] & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(key + 1)
    }
  }
}
