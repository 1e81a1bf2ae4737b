// Heads like one that was read and judged in full a moment ago, known again by their bytes.
// It must not validate: a head that differs in more than values that mean nothing here is read in full, like any other.
import Glibc
import HTTP

/// A few heads and what was made of them: the requests of one program, and the responses of one server, differ in little
/// but an id, a date and their length, so that reading, judging and writing each anew gives what it gave before.
///
/// What it gave follows from the head's bytes and the settings in force. One memory serves parsers with the same limits,
/// in front of whoever judges by the same policies; other settings have another memory, and this one is retired. Heads
/// carry credentials: none stays for longer than it takes `sweep` to find that nobody used it. Confined to one thread.
@safe
public final class HeadCache {
  /// A head that was found here.
  enum Head {
    case request(RequestHead)
    case response(ResponseHead)

    var fields: Fields {
      switch self {
      case .request(let head): head.fields
      case .response(let head): head.fields
      }
    }
    var template: HeadTemplate {
      switch self {
      case .request(let head): head.template
      case .response(let head): head.template
      }
    }
  }

  /// A head that is kept, and its bytes in memory of its own: looking through them owns and counts nothing.
  @unsafe
  private struct Entry {
    let head: Head
    let bytes: UnsafeMutableRawBufferPointer
    /// Where the values stand that may differ, in order.
    let varying: UnsafeMutableBufferPointer<Range<Int>>
    let answersHead: Bool
    /// Sweeps since it was last found.
    var sweeps = 0

    init(_ head: Head, answersHead: Bool) {
      unsafe self.head = head
      unsafe self.answersHead = answersHead
      let fields = head.fields
      unsafe bytes = .allocate(byteCount: fields.bytes.count, alignment: 16)
      unsafe bytes.copyBytes(from: fields.bytes)
      unsafe varying = .allocate(capacity: head.template.varying.count)
      _ = unsafe varying.initialize(from: head.template.varying.map { fields.list[$0].value })
    }

    func deallocate() {
      unsafe bytes.deallocate()
      unsafe varying.deallocate()
    }
  }

  /// Heads that are kept at most.
  private static let capacity = 16
  /// Bytes of the longest head that is kept, and values that may differ in one.
  private static let mostBytes = 8 * 1024
  private static let mostVarying = 8

  private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
  /// Heads that are kept.
  private(set) var count = 0
  private var replaced = 0
  private var isInvalidated = false
  private let fixed: [String]
  /// Where the values stand that differ in the head that is looked at.
  private let values = UnsafeMutablePointer<Range<Int>>.allocate(capacity: mostVarying)

  /// A memory of nothing.
  /// - Parameter fixed: lower-case names of the fields whose values are the same in all heads that are taken for alike:
  ///   those that `metadata` of heads follow from.
  public init(fixed: [String]) { self.fixed = fixed }

  deinit {
    while count > 0 { forget(count - 1) }
    unsafe entries.deallocate()
    unsafe values.deallocate()
  }

  // MARK: Finding

  /// Finds the head that `bytes` begin with, if it is whole.
  /// - Parameters:
  ///   - answersHead: for responses, whether they answer a HEAD, and so have no body.
  ///   - limit: bytes that a head may have.
  /// - Returns: the head, as many of the bytes as its own; nil where it has to be read in full.
  func lookup(_ bytes: UnsafeRawBufferPointer, answersHead: Bool, limit: Int) -> Head? {
    for index in 0..<count where unsafe entries[index].answersHead == answersHead {
      guard let end = unsafe match(entries[index].bytes, entries[index].varying, bytes), end <= limit,
        let head = unsafe head(at: index, UnsafeRawBufferPointer(rebasing: bytes[..<end]))
      else { continue }
      unsafe entries[index].sweeps = 0
      // What is asked for most is looked at first.
      if index > 0 { unsafe swap(&entries[index], &entries[index / 2]) }
      return head
    }
    return nil
  }

  /// Where the head ends that `bytes` begin with, if it is like `cached`; its own values stand in `values` then.
  private func match(
    _ cached: UnsafeMutableRawBufferPointer, _ varying: UnsafeMutableBufferPointer<Range<Int>>,
    _ bytes: UnsafeRawBufferPointer
  ) -> Int? {
    guard let base = cached.baseAddress, let start = bytes.baseAddress else { return nil }
    var (place, end) = (0, 0)
    for index in 0..<varying.count {
      let old = unsafe varying[index]
      let same = old.lowerBound - place
      guard same <= bytes.count - end, unsafe memcmp(base + place, start + end, same) == 0,
        let value = unsafe Self.value(bytes, from: end + same)
      else { return nil }
      unsafe values[index] = value
      (place, end) = (old.upperBound, value.upperBound)
    }
    let same = cached.count - place
    guard same <= bytes.count - end, unsafe memcmp(base + place, start + end, same) == 0 else { return nil }
    return end + same
  }

  /// The head with the values that `match` found in `bytes`; nil where they make it another one.
  private func head(at index: Int, _ bytes: UnsafeRawBufferPointer) -> Head? {
    let head = unsafe entries[index].head
    guard unsafe !entries[index].varying.isEmpty else { return head }
    switch head {
    case .request(let head):
      return unsafe RequestHead(like: head, Fields(like: head.fields, head.template, values, bytes)).map {
        .request($0)
      }
    case .response(let head):
      return unsafe ResponseHead(like: head, Fields(like: head.fields, head.template, values, bytes)).map {
        .response($0)
      }
    }
  }

  /// A field's value up to its line's end, if every reader would take it for that: not empty, nor with blanks at its
  /// ends, nor with control bytes.
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

  // MARK: Remembering

  /// Keeps a head that was judged in full, and passed. Where one is known that differs in values only, they are from now
  /// on what may differ.
  /// - Parameter options: the options of its Connection fields.
  func insert(_ head: Head, answersHead: Bool, _ options: ConnectionOptions) {
    let fields = head.fields
    // Options that name fields point into this very head.
    guard !isInvalidated, fields.bytes.count <= Self.mostBytes, options.names.isEmpty else { return }
    for index in 0..<count where unsafe entries[index].answersHead == answersHead {
      let other = unsafe entries[index].head
      guard let differing = fields.differing(from: other.fields, fixed: fixed) else { continue }
      // One that came in pieces, and so was not looked for.
      if differing.isEmpty { return }
      let varying = Set(differing).union(other.template.varying).sorted()
      guard varying.count <= Self.mostVarying else { continue }
      head.template.vary(in: varying, of: fields)
      unsafe entries[index].deallocate()
      unsafe entries[index] = Entry(head, answersHead: answersHead)
      return
    }
    if count < Self.capacity {
      unsafe (entries + count).initialize(to: Entry(head, answersHead: answersHead))
      count += 1
    } else {
      // Heads that come once only push each other out, in the half that is looked at last.
      replaced = (replaced + 1) % (Self.capacity / 2)
      unsafe entries[Self.capacity / 2 + replaced].deallocate()
      unsafe entries[Self.capacity / 2 + replaced] = Entry(head, answersHead: answersHead)
    }
  }

  // MARK: Forgetting

  /// Forgets what has not been found for `sweeps` calls of this.
  public func evictIdle(after sweeps: Int) {
    var index = 0
    while index < count {
      unsafe entries[index].sweeps += 1
      if unsafe entries[index].sweeps > sweeps { forget(index) } else { index += 1 }
    }
  }

  /// Forgets everything, for good: other settings are in force.
  public func invalidate() {
    isInvalidated = true
    while count > 0 { forget(count - 1) }
  }

  private func forget(_ index: Int) {
    count -= 1
    if index < count { unsafe swap(&entries[index], &entries[count]) }
    unsafe entries[count].deallocate()
    unsafe (entries + count).deinitialize(count: 1)
  }
}

/// A head as it is written, for it and its template.
public struct SerializedHead: ~Copyable {
  private let bytes: [UInt8]
  /// Where values belong that each of the template has of its own, and of which field.
  private let slots: [(place: Range<Int>, field: Int)]

  /// - Parameter places: where each field's value begins in `bytes`.
  init(_ bytes: [UInt8], of fields: Fields, _ template: HeadTemplate, places: [Int: Int]) {
    self.bytes = bytes
    slots = template.varying.compactMap { index in
      places[index].map { ($0..<$0 + fields.list[index].value.count, index) }
    }
  }

  /// Writes it with the values that stand in `fields`.
  func write(to output: OutputBuffer, _ fields: Fields) {
    var place = 0
    for slot in slots {
      output.append(bytes, place..<slot.place.lowerBound)
      output.append(fields.bytes, fields.list[slot.field].value)
      place = slot.place.upperBound
    }
    output.append(bytes, place..<bytes.count)
  }
}

extension Fields {
  /// Fields like `other`'s, with `values` in the places where its template differ.
  init(
    like other: Fields, _ template: HeadTemplate, _ values: UnsafePointer<Range<Int>>, _ bytes: UnsafeRawBufferPointer
  ) {
    unsafe self.init(bytes: Array(bytes), list: template.list(like: other.list, values), nameFilter: other.nameFilter)
  }

  /// The fields in which this head differs from `other`, if nothing but such values differs as mean nothing to a proxy, and
  /// are not of the fields `fixed`.
  fileprivate func differing(from other: Fields, fixed: [String]) -> [Int]? {
    guard list.count == other.list.count, nameFilter == other.nameFilter else { return nil }
    var differing: [Int] = []
    var (mine, its) = (0, 0)
    for index in list.indices {
      let (new, old) = (list[index].value, other.list[index].value)
      // What stands between values: the start line, names, colons, blanks, line ends.
      guard isEqual(mine..<new.lowerBound, other, its..<old.lowerBound) else { return nil }
      (mine, its) = (new.upperBound, old.upperBound)
      if isEqual(new, other, old) { continue }
      guard mayDiffer(list[index], fixed), other.mayDiffer(other.list[index], fixed) else { return nil }
      differing.append(index)
    }
    guard isEqual(mine..<bytes.count, other, its..<other.bytes.count) else { return nil }
    return differing
  }

  private func isEqual(_ range: Range<Int>, _ other: Fields, _ its: Range<Int>) -> Bool {
    guard range.count == its.count else { return false }
    return unsafe bytes.withUnsafeBytes { mine in
      unsafe other.bytes.withUnsafeBytes { theirs in
        guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else { return true }
        return unsafe memcmp(mine + range.lowerBound, theirs + its.lowerBound, range.count) == 0
      }
    }
  }

  private func mayDiffer(_ field: Field, _ fixed: [String]) -> Bool {
    guard !field.value.isEmpty, !fixed.contains(where: { isText(field.name, $0) }) else { return false }
    if field.kind == .contentLength { return plainLength(field.value) != nil }
    return field.kind == .other
  }
}
