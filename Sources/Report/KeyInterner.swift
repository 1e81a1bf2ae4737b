// Group keys told apart by their bytes: a small number for each, and no String a line.
// It must not know what the keys name.

/// A bounded set of byte strings, each known by the number it got when it was first seen.
struct KeyInterner: Sendable {
  private let maximumKeys: Int
  private let maximumBytes: Int
  /// All keys, end to end, and where each ends.
  private var arena: [UInt8] = []
  private var ends: [Int] = []
  private var hashes: [Int] = []
  /// Open addressing: a key's number plus one, or 0 for a free place. Its size is a power of two.
  private var places = [UInt32](repeating: 0, count: 64)
  /// A key has been turned away: from then on, not to be known does not mean not to have been seen.
  private(set) var isFull = false

  init(maximumKeys: Int = 1_000_000, maximumBytes: Int = 64 << 20) {
    self.maximumKeys = maximumKeys
    self.maximumBytes = maximumBytes
  }

  var count: Int { ends.count }

  func bytes(of key: Int) -> ArraySlice<UInt8> { arena[range(of: key)] }

  private func range(of key: Int) -> Range<Int> { (key == 0 ? 0 : ends[key - 1])..<ends[key] }

  /// The number of `key` if it is known.
  func find(_ key: Span<UInt8>) -> Int? {
    let place = place(of: key, hash: Self.hash(key))
    return places[place] == 0 ? nil : Int(places[place]) - 1
  }

  /// The number of `key`, a new one where it has not been seen; nil where it is new and there is no room.
  mutating func intern(_ key: Span<UInt8>) -> Int? {
    let hash = Self.hash(key)
    let place = place(of: key, hash: hash)
    if places[place] != 0 { return Int(places[place]) - 1 }
    guard !isFull, count < maximumKeys, arena.count + key.count <= maximumBytes else {
      isFull = true
      return nil
    }
    for place in key.indices { arena.append(key[place]) }
    ends.append(arena.count)
    hashes.append(hash)
    places[place] = UInt32(count)
    if count * 2 > places.count { grow() }
    return count - 1
  }

  /// Seeded anew in each process: names come from clients, who must not be able to make them collide.
  private static func hash(_ key: Span<UInt8>) -> Int {
    var hasher = Hasher()
    unsafe key.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    return hasher.finalize()
  }

  /// Where `key` stands, or the free place where it would.
  private func place(of key: Span<UInt8>, hash: Int) -> Int {
    var place = hash & (places.count - 1)
    while places[place] != 0 {
      let known = Int(places[place]) - 1
      if hashes[known] == hash, isKey(key, at: range(of: known)) { return place }
      place = (place + 1) & (places.count - 1)
    }
    return place
  }

  private func isKey(_ key: Span<UInt8>, at range: Range<Int>) -> Bool {
    guard key.count == range.count else { return false }
    return key.indices.allSatisfy { key[$0] == arena[range.lowerBound + $0] }
  }

  private mutating func grow() {
    places = [UInt32](repeating: 0, count: places.count * 4)
    for key in hashes.indices {
      var place = hashes[key] & (places.count - 1)
      while places[place] != 0 { place = (place + 1) & (places.count - 1) }
      places[place] = UInt32(key + 1)
    }
  }
}
