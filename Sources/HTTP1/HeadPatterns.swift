// The search of HeadCache: heads as bytes, and which of their values may differ.
import Glibc
import HTTP

/// Finds heads by their bytes. Each head that is kept has a slot, by which `HeadCache` finds what belongs to it.
@safe
@usableFromInline
final class HeadPatterns {
  /// A head that was found.
  @usableFromInline
  struct Match {
    @usableFromInline let slot: Int
    /// The fields; nil where they are those of the head that was inserted.
    @usableFromInline let fields: Fields?
    @usableFromInline let framing: BodyFraming
    @usableFromInline let varying: [Int]
  }

  /// One head. Its bytes lie in memory of their own, so that a search retains nothing.
  @unsafe
  private struct Pattern {
    let slot: Int
    let fields: Fields
    let framing: BodyFraming
    let answersHead: Bool
    /// Indexes of the fields whose values may differ, in ascending order.
    let varying: [Int]
    /// The one of them that is the Content-Length.
    let lengthField: Int?
    let bytes: UnsafeMutableRawBufferPointer
    /// Where the values of the fields in `varying` are in `bytes`.
    let values: UnsafeMutableBufferPointer<Range<Int>>
    /// The field list of the head that was found last. Most ids and dates are as long as the one before, and then all fields
    /// are at the same places.
    var lastList: [Field]
    /// Calls of `evictIdle` since it was last found.
    var sweeps = 0

    init(slot: Int, _ fields: Fields, _ framing: BodyFraming, answersHead: Bool, varying: [Int]) {
      unsafe self.slot = slot
      unsafe self.fields = fields
      unsafe self.framing = framing
      unsafe self.answersHead = answersHead
      unsafe self.varying = varying
      unsafe lengthField = varying.first { fields.list[$0].kind == .contentLength }
      unsafe bytes = .allocate(byteCount: fields.bytes.count, alignment: 16)
      unsafe bytes.copyBytes(from: fields.bytes)
      unsafe values = .allocate(capacity: varying.count)
      _ = unsafe values.initialize(from: varying.map { fields.list[$0].value })
      unsafe lastList = fields.list
    }

    func deallocate() {
      // They may have held a credential; a plain memset before the memory is given back may be left out by the compiler.
      if let start = unsafe bytes.baseAddress { unsafe explicit_bzero(start, bytes.count) }
      unsafe bytes.deallocate()
      unsafe values.deallocate()
    }
  }

  /// Heads that a cache keeps.
  static let capacity = 16
  /// Size of the longest head that is kept, in bytes.
  private static let maxHeadBytes = 8 * 1024
  /// Most values that may differ in one head.
  private static let maxVarying = 8

  private let capacity: Int
  private let fixedFields: [String]
  private let patterns: UnsafeMutablePointer<Pattern>
  /// Heads that are kept.
  private(set) var count = 0
  private var freeSlots: [Int]
  private var replacements = 0
  private var isInvalidated = false
  /// Where the values that may differ are in the bytes that are being looked up.
  private let found = UnsafeMutablePointer<Range<Int>>.allocate(capacity: maxVarying)

  init(fixedFields: [String], capacity: Int) {
    self.fixedFields = fixedFields
    self.capacity = capacity
    freeSlots = Array((0..<capacity).reversed())
    unsafe patterns = .allocate(capacity: capacity)
  }

  deinit {
    while count > 0 { remove(at: count - 1) }
    unsafe patterns.deallocate()
    unsafe found.deallocate()
  }

  // MARK: Lookup

  /// Looks up the head that `bytes` begin with.
  /// - Parameters:
  ///   - answersHead: for responses, whether they answer a HEAD, and so have no body.
  ///   - limit: size of the longest head that is accepted, in bytes.
  @usableFromInline
  func lookup(_ bytes: RawSpan, answersHead: Bool, limit: Int) -> Match? {
    unsafe bytes.withUnsafeBytes { bytes in
      for index in 0..<count where unsafe patterns[index].answersHead == answersHead {
        guard let end = unsafe match(patterns[index].bytes, patterns[index].values, bytes), end <= limit,
          let match = unsafe match(at: index, UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        else { continue }
        unsafe patterns[index].sweeps = 0
        // Heads that are found often move to the front.
        if index > 0 { unsafe swap(&patterns[index], &patterns[index / 2]) }
        return match
      }
      return nil
    }
  }

  /// Compares `bytes` with one pattern, and writes to `found` where the values that may differ are.
  /// - Returns: the size of the head; nil where it is another one.
  private func match(
    _ pattern: UnsafeMutableRawBufferPointer, _ values: UnsafeMutableBufferPointer<Range<Int>>,
    _ bytes: UnsafeRawBufferPointer
  ) -> Int? {
    guard let base = pattern.baseAddress, let start = bytes.baseAddress else { return nil }
    var (place, end) = (0, 0)
    for index in 0..<values.count {
      let value = unsafe values[index]
      let same = value.lowerBound - place
      guard same <= bytes.count - end, unsafe memcmp(base + place, start + end, same) == 0,
        let other = unsafe Self.value(bytes, from: end + same)
      else { return nil }
      unsafe found[index] = other
      (place, end) = (value.upperBound, other.upperBound)
    }
    let same = pattern.count - place
    guard same <= bytes.count - end, unsafe memcmp(base + place, start + end, same) == 0 else { return nil }
    return end + same
  }

  /// The match of a pattern with the values in `found`; nil where the Content-Length among them is not a plain one.
  private func match(at index: Int, _ bytes: UnsafeRawBufferPointer) -> Match? {
    let (slot, varying) = unsafe (patterns[index].slot, patterns[index].varying)
    var framing = unsafe patterns[index].framing
    if varying.isEmpty { return Match(slot: slot, fields: nil, framing: framing, varying: varying) }
    let fields = unsafe Fields(
      bytes: Array(bytes), list: list(at: index), nameFilter: patterns[index].fields.nameFilter)
    if let field = unsafe patterns[index].lengthField {
      guard let length = fields.plainLength(fields.list[field].value), case .length = framing else { return nil }
      framing = .length(length)
    }
    return Match(slot: slot, fields: fields, framing: framing, varying: varying)
  }

  /// The field list of a head with the values in `found`.
  private func list(at index: Int) -> [Field] {
    let varying = unsafe patterns[index].varying
    for place in varying.indices where unsafe patterns[index].lastList[varying[place]].value != found[place] {
      unsafe patterns[index].lastList = Self.list(patterns[index].fields.list, varying, found)
      break
    }
    return unsafe patterns[index].lastList
  }

  /// `list` with other values in the fields `varying`, and all fields behind them moved.
  private static func list(_ list: [Field], _ varying: [Int], _ values: UnsafePointer<Range<Int>>) -> [Field] {
    var (shift, next) = (0, 0)
    return list.enumerated().map { index, field in
      var field = field
      field.name = field.name.shifted(by: shift)
      if next < varying.count, varying[next] == index {
        shift = unsafe values[next].upperBound - field.value.upperBound
        field.value = unsafe values[next]
        next += 1
      } else {
        field.value = field.value.shifted(by: shift)
      }
      return field
    }
  }

  /// A field's value from `start` to the end of its line. Nil unless every reader finds the same value there: it is not
  /// empty, has no white space at its ends and no control bytes.
  private static func value(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
    guard let base = bytes.baseAddress, start < bytes.count,
      let place = unsafe memchr(base + start, Int32(ASCII.carriageReturn), bytes.count - start)
    else { return nil }
    let value = unsafe start..<UnsafeRawPointer(place) - base
    guard !value.isEmpty, unsafe !ASCII.isBlank(bytes[start]), unsafe !ASCII.isBlank(bytes[value.upperBound - 1]),
      unsafe Fields.isClean(UnsafeRawBufferPointer(rebasing: bytes[value]))
    else { return nil }
    return value
  }

  // MARK: Insertion

  /// Keeps a head. It takes the place of a head that is alike, and the values in which the two differ may differ from then on.
  /// Such values are not kept: a pattern lasts as long as heads like it come, and each may have another client's credential.
  /// - Returns: its slot, and its fields as they are kept; nil where it is not.
  @usableFromInline
  func insert(_ fields: Fields, _ framing: BodyFraming, answersHead: Bool) -> (slot: Int, fields: Fields)? {
    guard !isInvalidated, capacity > 0, fields.bytes.count <= Self.maxHeadBytes else { return nil }
    for index in 0..<count where unsafe patterns[index].answersHead == answersHead {
      guard let differing = unsafe fields.differing(from: patterns[index].fields, fixedFields) else { continue }
      // It came in pieces, and so was not looked up.
      let known = unsafe patterns[index].varying
      if differing.allSatisfy({ known.contains($0) }) { return nil }
      let varying = unsafe Set(differing).union(patterns[index].varying).sorted()
      guard varying.count <= Self.maxVarying else { continue }
      return replace(index, fields, framing, answersHead: answersHead, varying: varying)
    }
    guard let slot = freeSlots.popLast() else {
      // Heads that come only once replace each other, in the half that is searched last.
      replacements = (replacements + 1) % (capacity / 2)
      return replace(capacity / 2 + replacements, fields, framing, answersHead: answersHead, varying: [])
    }
    unsafe (patterns + count).initialize(
      to: Pattern(slot: slot, fields, framing, answersHead: answersHead, varying: []))
    count += 1
    return (slot, fields)
  }

  private func replace(
    _ index: Int, _ fields: Fields, _ framing: BodyFraming, answersHead: Bool, varying: [Int]
  ) -> (slot: Int, fields: Fields) {
    let slot = unsafe patterns[index].slot
    let fields = fields.blanking(varying)
    unsafe patterns[index].deallocate()
    unsafe patterns[index] = Pattern(slot: slot, fields, framing, answersHead: answersHead, varying: varying)
    return (slot, fields)
  }

  // MARK: Removal

  /// Removes the heads that the last `sweeps` calls of this have seen unused.
  /// - Returns: their slots.
  func evictIdle(after sweeps: Int) -> [Int] {
    var evicted: [Int] = []
    var index = 0
    while index < count {
      unsafe patterns[index].sweeps += 1
      if unsafe patterns[index].sweeps > sweeps { evicted.append(remove(at: index)) } else { index += 1 }
    }
    return evicted
  }

  /// Removes all heads, and keeps no more.
  func invalidate() {
    isInvalidated = true
    while count > 0 { remove(at: count - 1) }
  }

  @discardableResult
  private func remove(at index: Int) -> Int {
    count -= 1
    if index < count { unsafe swap(&patterns[index], &patterns[count]) }
    let slot = unsafe patterns[count].slot
    unsafe patterns[count].deallocate()
    unsafe (patterns + count).deinitialize(count: 1)
    freeSlots.append(slot)
    return slot
  }
}

extension Fields {
  /// Indexes of the fields in which this head differs from `other`; nil where it differs in more than values that no rule
  /// of HTTP reads, or in a field that is among `fixed`.
  fileprivate func differing(from other: Fields, _ fixed: [String]) -> [Int]? {
    guard list.count == other.list.count, nameFilter == other.nameFilter else { return nil }
    var differing: [Int] = []
    var (end, otherEnd) = (0, 0)
    for index in list.indices {
      let (value, otherValue) = (list[index].value, other.list[index].value)
      // What is between two values: the start line, names, colons, white space, line ends.
      guard isEqual(end..<value.lowerBound, other, otherEnd..<otherValue.lowerBound) else { return nil }
      (end, otherEnd) = (value.upperBound, otherValue.upperBound)
      if isEqual(value, other, otherValue) { continue }
      guard mayDiffer(list[index], fixed), other.mayDiffer(other.list[index], fixed) else { return nil }
      differing.append(index)
    }
    guard isEqual(end..<bytes.count, other, otherEnd..<other.bytes.count) else { return nil }
    return differing
  }

  /// The same with other bytes in place of the values of the fields at `indexes`; a length stays, since it is compared as one.
  fileprivate func blanking(_ indexes: [Int]) -> Fields {
    var fields = self
    for index in indexes where list[index].kind != .contentLength {
      for place in list[index].value { fields.bytes[place] = UInt8(ascii: "x") }
    }
    return fields
  }

  private func isEqual(_ range: Range<Int>, _ other: Fields, _ otherRange: Range<Int>) -> Bool {
    guard range.count == otherRange.count else { return false }
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe other.bytes.withUnsafeBytes { otherBytes in
        guard let base = bytes.baseAddress, let otherBase = otherBytes.baseAddress else { return true }
        return unsafe memcmp(base + range.lowerBound, otherBase + otherRange.lowerBound, range.count) == 0
      }
    }
  }

  private func mayDiffer(_ field: Field, _ fixed: [String]) -> Bool {
    guard !field.value.isEmpty, !fixed.contains(where: { isText(field.name, $0) }) else { return false }
    if field.kind == .contentLength { return plainLength(field.value) != nil }
    return field.kind == .other
  }
}

extension Range<Int> {
  fileprivate func shifted(by shift: Int) -> Range<Int> { lowerBound + shift..<upperBound + shift }
}
