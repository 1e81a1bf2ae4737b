// What a target's runs share, so that one run costs no more than what it checks.
import JSON
import TokenWire

/// The memory of one target's runs, and how thorough they are. Not `Sendable`.
public final class FuzzRun {
  /// Parses every event.
  let parsing = DecodingContext(usesCache: false)
  /// Has seen the events of earlier runs.
  let caching = DecodingContext()
  let json = JSONParser()
  private let isThorough: Bool

  /// - Parameter isThorough: bytes are cut in every way and read as every type; if not, in one way and as one type, which
  ///   depend on the bytes alone: a fuzzer has many inputs, and reaches more with short runs.
  public init(isThorough: Bool) { self.isThorough = isThorough }

  /// The ways to cut `bytes` that are checked.
  func ways(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
    if isThorough { return everyWay(bytes) }
    return [cut(bytes, most: [1, 7, 40, 400][Int(hash(bytes) % 4)])]
  }

  /// Those of `choices` that are checked.
  func some<Choice>(of choices: [Choice], for bytes: [UInt8]) -> [Choice] {
    isThorough ? choices : [choices[Int(hash(bytes) / 4 % UInt64(choices.count))]]
  }
}

/// FNV-1a.
private func hash(_ bytes: [UInt8]) -> UInt64 {
  bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}

/// Pieces of 1 to `most` bytes: the same bytes are cut alike each time.
private func cut(_ bytes: [UInt8], most: Int) -> [ArraySlice<UInt8>] {
  var state = hash(bytes)
  var pieces: [ArraySlice<UInt8>] = []
  var start = 0
  while start < bytes.count {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let end = min(bytes.count, start + 1 + Int(state >> 33) % most)
    pieces.append(bytes[start..<end])
    start = end
  }
  return pieces
}

/// The same bytes whole, byte by byte, and in two ways between that depend on them alone.
func everyWay(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
  [[bytes[...]], cut(bytes, most: 1), cut(bytes, most: 7), cut(bytes, most: 40)]
}
