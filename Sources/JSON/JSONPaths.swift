// Which members a scanner looks for, and the values that it has found of them.

/// Names of members, from the outermost object inwards: `["metadata", "user_id"]`.
public struct JSONPaths: Sendable {
  struct Node {
    let name: [UInt8]
    /// Whether the member itself is looked for, and not only members of it.
    var isWanted = false
    var members: [Int] = []
  }

  /// The tree of all names; the first one is the outermost object.
  private(set) var nodes = [Node(name: [])]

  /// Makes the tree of these paths; an empty path is left out.
  public init(_ paths: [[String]]) {
    for path in paths where !path.isEmpty {
      let node = path.reduce(0) { member(of: $0, named: Array($1.utf8)) ?? add(Array($1.utf8), to: $0) }
      nodes[node].isWanted = true
    }
  }

  private mutating func add(_ name: [UInt8], to node: Int) -> Int {
    nodes.append(Node(name: name))
    nodes[node].members.append(nodes.count - 1)
    return nodes.count - 1
  }

  /// The member of a node's object that has this name, decoded.
  func member(of node: Int, named name: [UInt8]) -> Int? { nodes[node].members.first { nodes[$0].name == name } }

  /// The object that has the members found, as JSON.
  /// - Parameter values: the text of each node's value; empty where it was not found.
  func object(of values: [[UInt8]], at node: Int = 0) -> [UInt8] {
    var text = [UInt8(ascii: "{")]
    for member in nodes[node].members {
      let isGroup = values[member].isEmpty && !nodes[member].members.isEmpty
      let value = isGroup ? object(of: values, at: member) : values[member]
      guard value.count > (isGroup ? 2 : 0) else { continue }
      if text.count > 1 { text.append(UInt8(ascii: ",")) }
      text += JSONText.quoted(String(decoding: nodes[member].name, as: UTF8.self)) + [UInt8(ascii: ":")] + value
    }
    return text + [UInt8(ascii: "}")]
  }
}

/// Parts of JSON texts that may be damaged.
enum JSONText {
  /// A string as JSON, in quotes.
  static func quoted(_ text: String) -> [UInt8] {
    var quoted = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): quoted += [UInt8(ascii: "\\"), byte]
      case 0..<0x20: quoted += Array("\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
      default: quoted.append(byte)
      }
    }
    return quoted + [UInt8(ascii: "\"")]
  }

  /// A literal or a number as JSON; nil for what is neither, such as `NaN`.
  static func literal(_ bytes: [UInt8]) -> [UInt8]? {
    let text = String(decoding: bytes, as: UTF8.self)
    if ["true", "false", "null"].contains(text) { return bytes }
    guard bytes.allSatisfy({ "+-.eE0123456789".utf8.contains($0) }) else { return nil }
    if let whole = Int(text) { return Array("\(whole)".utf8) }
    guard let number = Double(text), number.isFinite else { return nil }
    return Array("\(number)".utf8)
  }

  /// The text that stands between the quotes of a string. What is no UTF-8, and half a surrogate pair, becomes U+FFFD.
  static func decoded(_ raw: [UInt8]) -> String {
    guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
    var bytes: [UInt8] = []
    var index = 0
    while index < raw.count {
      guard raw[index] == UInt8(ascii: "\\") else {
        bytes.append(raw[index])
        index += 1
        continue
      }
      guard index + 1 < raw.count else { break }
      index += 2
      appendEscape(raw[index - 1], raw, &index, to: &bytes)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func appendEscape(_ letter: UInt8, _ raw: [UInt8], _ index: inout Int, to bytes: inout [UInt8]) {
    switch letter {
    case UInt8(ascii: "b"): bytes.append(8)
    case UInt8(ascii: "t"): bytes.append(9)
    case UInt8(ascii: "n"): bytes.append(10)
    case UInt8(ascii: "f"): bytes.append(12)
    case UInt8(ascii: "r"): bytes.append(13)
    case UInt8(ascii: "u"): bytes += Array(String(scalar(raw, &index)).utf8)
    default: bytes.append(letter)
    }
  }

  /// The scalar of the four digits at `index`, or of a surrogate pair that begins there.
  private static func scalar(_ raw: [UInt8], _ index: inout Int) -> Unicode.Scalar {
    guard let first = unit(raw, index) else { return "\u{FFFD}" }
    index += 4
    guard 0xD800..<0xDC00 ~= first else { return Unicode.Scalar(first) ?? "\u{FFFD}" }
    guard index + 1 < raw.count, raw[index] == UInt8(ascii: "\\"), raw[index + 1] == UInt8(ascii: "u"),
      let second = unit(raw, index + 2), 0xDC00..<0xE000 ~= second
    else { return "\u{FFFD}" }
    index += 6
    return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) ?? "\u{FFFD}"
  }

  private static func unit(_ raw: [UInt8], _ index: Int) -> UInt32? {
    guard index + 4 <= raw.count else { return nil }
    return UInt32(String(decoding: raw[index..<(index + 4)], as: UTF8.self), radix: 16)
  }
}
