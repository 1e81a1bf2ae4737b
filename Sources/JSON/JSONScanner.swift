// Reads a few members of a JSON object as its bytes pass, whatever its length, in bounded memory, and goes on behind damage.

/// A scan of one JSON object whose bytes come piece by piece.
///
/// It finds the members of `JSONPaths` at their depth and skips everything else, so that its memory does not depend on the
/// text: a string is kept up to `JSONScanner.keptBytes`, an array as the kinds of its elements. It is lenient, since the text
/// is somebody else's to check: a byte order mark, control characters in strings, `NaN`, half surrogates and bytes that are no
/// UTF-8 are no damage. Behind damage (a missing quote, bracket or comma) it looks for the next place where a member can begin.
/// Of members with the same name the last one counts, as for `JSONObject`.
public struct JSONScanner: Sendable {
  /// How much of a text could be read.
  public enum Extent: Sendable {
    /// An object, from its first byte to its last.
    case whole
    /// An object that is damaged, or has no end: what was found in it so far.
    case partly
    /// No object.
    case none
  }

  /// The longest string that is kept, in bytes as they are written; of a longer one the beginning.
  public static let keptBytes = 2048
  /// The most elements of an array that are kept.
  public static let keptElements = 8192
  /// Bytes of a key that are kept: no name that is looked for is longer.
  static let keptKeyBytes = 128
  /// The deepest nesting of which every level's kind is known; what is deeper counts as damaged.
  static let keptLevels = 4096

  enum Mode { case structure, string, escape, bare }
  enum Expectation { case root, keyOrEnd, key, colon, valueOrEnd, value, commaOrEnd, nothing }
  /// What the bytes of a string or a literal are kept for.
  enum Capture { case none, key, value }

  let paths: JSONPaths
  /// The text of each path's value; empty where it was not found.
  var values: [[UInt8]]
  var mode = Mode.structure
  var expectation = Expectation.root
  /// Containers that are open.
  var depth = 0
  /// Which of them are objects, by bit.
  private var objects: [UInt64] = [0]
  /// How many of them are: a bracket that ends none is not searched for among thousands.
  private var objectCount = 0
  /// The nodes of the outermost containers, as long as they are on a path.
  private var open: [Int] = []
  /// The node of the member whose value comes next; nil where it is on no path.
  var target: Int?
  var capture = Capture.none
  var captured: [UInt8] = []
  /// The array whose elements' kinds are kept: its node, and its depth.
  private var list: (node: Int, depth: Int, text: [UInt8], count: Int)?
  /// Whether the last token was a word where none may stand: the quote before it may not have ended its string.
  var followsStrayWord = false
  private var bomBytes = 0
  private var hasObject = false
  private var isDamaged = false

  /// A scanner that looks for the members of `paths`.
  public init(_ paths: JSONPaths) {
    self.paths = paths
    values = Array(repeating: [], count: paths.nodes.count)
  }

  /// How much of the text could be read, if it ends here.
  public var extent: Extent { hasObject ? (expectation == .nothing && !isDamaged ? .whole : .partly) : .none }

  /// An object that has the members found so far and no others, as strict JSON. Arrays have elements of the right kinds: `""`,
  /// `0`, `[]`, `{}`.
  public var excerpt: [UInt8] { paths.object(of: values) }

  // MARK: Structure

  var isInObject: Bool { depth > 0 && isObject(at: depth - 1) }

  private func isObject(at level: Int) -> Bool {
    level < Self.keptLevels && objects[level >> 6] & (1 << UInt64(level & 63)) != 0
  }

  private mutating func setKind(isObject: Bool, at level: Int) {
    guard level < Self.keptLevels else { return damage() }
    if level >> 6 == objects.count { objects.append(0) }
    let bit: UInt64 = 1 << UInt64(level & 63)
    objects[level >> 6] = isObject ? objects[level >> 6] | bit : objects[level >> 6] & ~bit
    if isObject { objectCount += 1 }
  }

  /// Whether the innermost container is an object on a path.
  private var isTracked: Bool { isInObject && open.count == depth }
  /// Whether it is an array in one.
  private var isInTrackedObject: Bool { !isInObject && depth > 0 && open.count == depth - 1 }

  mutating func damage() { isDamaged = true }

  /// One byte outside strings and literals.
  mutating func readStructure(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): return
    case UInt8(ascii: "\""): beginString()
    case UInt8(ascii: "{"), UInt8(ascii: "["): openContainer(isObject: byte == UInt8(ascii: "{"))
    case UInt8(ascii: "}"), UInt8(ascii: "]"): closeContainer(isObject: byte == UInt8(ascii: "}"))
    case UInt8(ascii: ","): comma()
    case UInt8(ascii: ":"): colon()
    default: if !isByteOrderMark(byte) { beginBare(byte) }
    }
  }

  private mutating func isByteOrderMark(_ byte: UInt8) -> Bool {
    guard expectation == .root, bomBytes < 3, byte == [0xEF, 0xBB, 0xBF][bomBytes] else { return false }
    bomBytes += 1
    return true
  }

  private mutating func openContainer(isObject: Bool) {
    if let target, paths.nodes[target].isWanted { values[target] = [] }
    if expectation != .value && expectation != .valueOrEnd && expectation != .root { damage() }
    addElement(isObject ? "{}" : "[]")
    let isRoot = depth == 0
    if isRoot && isObject && !hasObject { (hasObject, target) = (true, 0) }
    depth += 1
    setKind(isObject: isObject, at: depth - 1)
    if let target, isObject, open.count == depth - 1 { open.append(target) }
    if let target, !isObject, paths.nodes[target].isWanted, list == nil {
      list = (target, depth, [], 0)
    }
    target = nil
    followsStrayWord = false
    expectation = isObject ? .keyOrEnd : .valueOrEnd
  }

  private mutating func closeContainer(isObject: Bool) {
    let isExpected =
      expectation == .commaOrEnd || expectation == (isObject ? .keyOrEnd : .valueOrEnd)
    if !isExpected || isInObject != isObject { damage() }
    followsStrayWord = false
    if depth <= Self.keptLevels {
      guard isObject ? objectCount > 0 : objectCount < depth else { return }
      // Containers inside it that were not closed end with it.
      while isInObject != isObject { leaveContainer() }
    }
    leaveContainer()
    expectation = depth == 0 ? .nothing : .commaOrEnd
  }

  private mutating func leaveContainer() {
    if isInObject { objectCount -= 1 }
    depth -= 1
    if let list, list.depth > depth {
      values[list.node] = Array("[".utf8) + list.text + Array("]".utf8)
      self.list = nil
    }
    if open.count > depth { open.removeLast() }
    target = nil
  }

  private mutating func comma() {
    // Behind the object: it was ended by a bracket too many.
    if depth == 0, hasObject {
      damage()
      (depth, objects, objectCount, open) = (1, [1], 1, [0])
    } else if expectation != .commaOrEnd {
      damage()
    }
    nextMember()
  }

  /// What a comma ends has ended.
  mutating func nextMember() {
    expectation = depth == 0 ? .nothing : isInObject ? .key : .value
    target = nil
    followsStrayWord = false
  }

  private mutating func colon() {
    if expectation != .colon { damage() }
    // A key in an array: the array was not closed.
    if expectation == .commaOrEnd, isInTrackedObject, capture == .key {
      leaveContainer()
      target = member()
    } else if expectation != .colon {
      target = nil
    }
    expectation = isInObject ? .value : .commaOrEnd
    followsStrayWord = false
  }

  // MARK: Members

  /// The node of the member whose key was captured; what an earlier member of that name said is forgotten.
  private mutating func member() -> Int? {
    guard isTracked, let object = open.last, captured.count < Self.keptKeyBytes else { return nil }
    let name = captured.contains(UInt8(ascii: "\\")) ? Array(JSONText.decoded(captured).utf8) : captured
    guard let member = paths.member(of: object, named: name) else { return nil }
    values[member] = []
    return member
  }

  /// What a string that begins now is kept for.
  mutating func captureString() {
    captured.removeAll(keepingCapacity: true)
    switch expectation {
    case .keyOrEnd, .key, .colon, .commaOrEnd: capture = isTracked || followsStrayWord ? .key : .none
    case .value, .valueOrEnd: capture = target != nil ? .value : isInTrackedObject ? .key : .none
    case .root, .nothing: capture = .none
    }
  }

  mutating func keyEnded() {
    target = capture == .key ? member() : nil
    expectation = isInObject ? .colon : .commaOrEnd
  }

  /// A value that is no container has ended.
  mutating func valueEnded(isString: Bool) {
    addElement(isString ? "\"\"" : "0")
    if let target, capture == .value, paths.nodes[target].isWanted {
      values[target] =
        isString ? JSONText.quoted(JSONText.decoded(captured)) : JSONText.literal(captured) ?? []
    }
    target = nil
    expectation = depth == 0 ? .nothing : .commaOrEnd
  }

  /// Notes an element of the array whose elements are kept.
  private mutating func addElement(_ kind: StaticString) {
    guard let kept = list, kept.depth == depth, kept.count < Self.keptElements else { return }
    if kept.count > 0 { list?.text.append(UInt8(ascii: ",")) }
    list?.text += Array("\(kind)".utf8)
    list?.count += 1
  }
}
