// A message's fields as they were received: one buffer of bytes, and where each name and value is in it.

/// A name and a value inside a `Fields` buffer.
public struct Field: Hashable, Sendable {
  /// Where the name is.
  public var name: Range<Int>
  /// Where the value is, without the white space around it.
  public var value: Range<Int>
  /// What the name means to a proxy.
  @usableFromInline package var kind = FieldKind.other

  /// A field of that kind.
  @inlinable
  package init(name: Range<Int>, value: Range<Int>, kind: FieldKind = .other) {
    self.name = name
    self.value = value
    self.kind = kind
  }
}

/// The names that HTTP's rules depend on, determined once for each field.
@usableFromInline
package enum FieldKind: UInt8, Sendable {
  case other
  case host
  case contentLength
  case transferEncoding
  case connection
  case proxyConnection
  case keepAlive
  case te
  case upgrade
  case expect
  case forwardedFor
  case forwarded
  case via

  /// Whether it is hop-by-hop, whatever Connection says (RFC 9110 §7.6.1).
  package var isHopByHop: Bool {
    switch self {
    case .connection, .proxyConnection, .keepAlive, .te, .upgrade: true
    case .other, .host, .contentLength, .transferEncoding, .expect, .forwardedFor, .forwarded, .via: false
    }
  }
}

/// A section of fields with the start line before it. The bytes are kept as they were received, in order and case.
public struct Fields: Sendable {
  /// Everything from the first byte of the message's head.
  public package(set) var bytes: [UInt8] = []
  /// The fields, in order.
  public package(set) var list: [Field] = []
  /// One bit for each name, by its length and first letter: most lookups are for names that are not present.
  package var nameFilter: UInt64 = 0

  /// Whether there is no field.
  @inlinable
  package var isEmpty: Bool { list.isEmpty }

  /// No fields.
  public init() {}

  /// Fields that are in `bytes` where `list` says. `nameFilter` may be that of other fields with the same names.
  package init(bytes: [UInt8], list: [Field], nameFilter: UInt64) {
    self.bytes = bytes
    self.list = list
    self.nameFilter = nameFilter
  }

  /// The bytes in `range` as text; what is not UTF-8 is replaced.
  public func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  /// Whether the bytes in `range` are `lowercase`, compared without case.
  public func matches(_ range: Range<Int>, _ lowercase: StaticString) -> Bool {
    guard range.count == lowercase.utf8CodeUnitCount else { return false }
    return unsafe bytes.withUnsafeBufferPointer { bytes in
      for offset in 0..<range.count {
        let byte = unsafe bytes[range.lowerBound + offset]
        let folded = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
        if unsafe folded != lowercase.utf8Start[offset] { return false }
      }
      return true
    }
  }

  /// Whether the bytes in `range` are exactly `text`.
  package func equals(_ range: Range<Int>, _ text: StaticString) -> Bool {
    range.count == text.utf8CodeUnitCount && starts(range, with: text)
  }

  /// Whether the bytes in `range` begin with exactly `text`.
  package func starts(_ range: Range<Int>, with text: StaticString) -> Bool {
    guard range.count >= text.utf8CodeUnitCount else { return false }
    return unsafe bytes.withUnsafeBufferPointer { bytes in
      for offset in 0..<text.utf8CodeUnitCount {
        if unsafe bytes[range.lowerBound + offset] != text.utf8Start[offset] { return false }
      }
      return true
    }
  }

  /// Whether two ranges hold the same name, compared without case.
  package func sameName(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { ASCII.lowercased(bytes[$0]) == ASCII.lowercased(bytes[$1]) }
  }

  /// A hash of a name, compared without case. It differs from process to process, so that nobody can choose names that collide.
  package func nameHash(_ name: Range<Int>) -> UInt64 {
    unsafe bytes.withUnsafeBufferPointer { bytes in
      var hash = Self.hashSeed
      for index in name {
        hash = (hash ^ UInt64(unsafe ASCII.lowercased(bytes[index]))) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
      }
      return hash
    }
  }

  private static let hashSeed = UInt64.random(in: .min ... .max)

  /// The value of the first field named `lowercase`, as text.
  public func first(_ lowercase: StaticString) -> String? {
    for field in list where matches(field.name, lowercase) { return text(field.value) }
    return nil
  }

  /// The values of the fields named `lowercase`, in their order.
  public func values(named lowercase: StaticString) -> [ArraySlice<UInt8>] {
    list.filter { matches($0.name, lowercase) }.map { bytes[$0.value] }
  }

  /// The bytes of the value of the first field whose name is `name`, compared without case.
  public func firstValue(named name: String) -> ArraySlice<UInt8>? {
    firstIndex(named: name).map { bytes[list[$0].value] }
  }

  /// The value of the first field whose name is `name`, compared without case.
  public func first(named name: String) -> String? {
    firstIndex(named: name).map { text(list[$0].value) }
  }

  /// The index of the first field whose name is `name`, compared without case.
  public func firstIndex(named name: String) -> Int? {
    let count = name.utf8.count
    guard let first = name.utf8.first, nameFilter & Self.bit(count, first) != 0 else { return nil }
    return list.firstIndex { $0.name.count == count && matches($0.name, name.utf8) }
  }

  /// Whether the bytes in `range` are `name`, which is as long, compared without case.
  private func matches(_ range: Range<Int>, _ name: String.UTF8View) -> Bool {
    unsafe bytes.withUnsafeBufferPointer { bytes in
      let isSame = unsafe name.withContiguousStorageIfAvailable { name in
        for offset in 0..<range.count {
          let byte = unsafe bytes[range.lowerBound + offset]
          if unsafe ASCII.lowercased(byte) != ASCII.lowercased(name[offset]) { return false }
        }
        return true
      }
      return isSame ?? zip(range, name).allSatisfy { unsafe ASCII.lowercased(bytes[$0]) == ASCII.lowercased($1) }
    }
  }

  /// The comma-separated elements of a list value (RFC 9110 §5.6.1), without white space around them and without empty ones.
  /// They are found one by one: a value may be as long as a head, and most readers stop early.
  package func elements(_ value: Range<Int>) -> ListElements { ListElements(fields: self, rest: value) }

  package struct ListElements: Sequence, IteratorProtocol {
    fileprivate let fields: Fields
    /// What has not been read; empty behind the last element.
    fileprivate var rest: Range<Int>

    package mutating func next() -> Range<Int>? {
      while !rest.isEmpty {
        let end = fields.bytes[rest].firstIndex(of: ASCII.comma) ?? rest.upperBound
        let element = fields.trimmed(rest.lowerBound..<end)
        rest = Swift.min(end + 1, rest.upperBound)..<rest.upperBound
        if !element.isEmpty { return element }
      }
      return nil
    }
  }

  /// `range` without the optional white space (SP, HTAB) at its ends.
  package func trimmed(_ range: Range<Int>) -> Range<Int> {
    var lower = range.lowerBound
    var upper = range.upperBound
    while lower < upper, ASCII.isBlank(bytes[lower]) { lower += 1 }
    while upper > lower, ASCII.isBlank(bytes[upper - 1]) { upper -= 1 }
    return lower..<upper
  }

  /// The bit in `nameFilter` of a name with `count` bytes that begins with `first`.
  @inlinable
  package static func bit(_ count: Int, _ first: UInt8) -> UInt64 {
    1 << UInt64((count &* 5 &+ Int(ASCII.lowercased(first))) & 63)
  }

  /// Whether none of eight bytes is below 0x20 or 0x7F (a byte-wise comparison as in S. Anderson's Bit Twiddling Hacks,
  /// "Determine if a word has a byte less than n").
  private static func isClean(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let delete = word ^ (ones &* 0x7F)
    let found = ((word &- (ones &* 0x20)) & ~word) | ((delete &- ones) & ~delete)
    return found & (ones &* 0x80) == 0
  }

  /// Whether no value contains a control byte other than HTAB (RFC 9110 §5.5); 0x80 to 0xFF pass as they are.
  package func valuesAreClean() -> Bool {
    unsafe bytes.withUnsafeBytes { bytes in
      for field in list where unsafe !Self.isClean(UnsafeRawBufferPointer(rebasing: bytes[field.value])) {
        return false
      }
      return true
    }
  }

  /// The same for one value.
  package static func isClean(_ value: UnsafeRawBufferPointer) -> Bool {
    var index = 0
    // Eight bytes at a time, while none of them can be a control byte.
    while index + 8 <= value.count, unsafe isClean(value.loadUnaligned(fromByteOffset: index, as: UInt64.self)) {
      index += 8
    }
    while index < value.count {
      let byte = unsafe value[index]
      if byte < 0x20 && byte != ASCII.tab || byte == 0x7F { return false }
      index += 1
    }
    return true
  }
}
