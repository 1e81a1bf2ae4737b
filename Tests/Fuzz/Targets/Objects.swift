// Members of JSON objects: found in one pass, one by one, or as the bytes pass.
import JSON

/// Names that a table may take for one another.
private enum Key: String, JSONKey {
  case a, id, index, content, contents
  case reasoningContent = "reasoning_content"
  case reasoningDetails = "reasoning_details"
  static let table = JSONKeys<Key>()
}

/// JSON texts: of every object the members that one pass finds are those that a search for each finds.
func checkJSON(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  var finding: Finding?
  _ = unsafe run.json.parse(bytes.span.bytes) { root in
    finding = difference(root, depth: 0)
    _ = unsafe root.unread(of: bytes.span.bytes)
  }
  if let finding { throw finding }
}

private func difference(_ value: JSONValue, depth: Int) -> Finding? {
  let found = JSONObject<Key>(value)
  let expected = [
    value["a"], value["id"], value["index"], value["content"], value["contents"], value["reasoning_content"],
    value["reasoning_details"],
  ]
  for (key, expected) in zip(Key.allCases, expected) {
    if let one = found[key], let other = expected, one.isIdentical(to: other) { continue }
    if found[key] == nil, expected == nil { continue }
    return Finding("\(key.rawValue) is found by one way and not by the other")
  }
  guard depth < 50 else { return nil }
  for case let member? in expected {
    if let finding = difference(member, depth: depth + 1) { return finding }
    var inside: Finding?
    member.forEachElement { element in inside = inside ?? difference(element, depth: depth + 1) }
    if let inside { return inside }
  }
  return nil
}

/// What a scanner looks for.
private let paths = JSONPaths([["a"], ["id"], ["content"], ["metadata", "user_id"]])

private func scan(_ pieces: [ArraySlice<UInt8>]) -> JSONScanner {
  var scanner = JSONScanner(paths)
  for piece in pieces { unsafe scanner.scan(piece.span.bytes) }
  return scanner
}

/// A scan is the same however the text is cut; what it says is strict JSON; and of a strict text it says what the parser does.
func checkScanner(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  let whole = scan([bytes[...]])
  let excerpt = whole.excerpt
  for way in run.ways(bytes) {
    let other = scan(way)
    try hold(other.extent == whole.extent, "split otherwise: \(other.extent) in place of \(whole.extent)")
    try hold(other.excerpt == excerpt, "split otherwise: \(shown(other.excerpt)) in place of \(shown(excerpt))")
  }
  let found = unsafe run.json.parse(excerpt.span.bytes) { Members($0) }
  guard let found else { throw Finding("the excerpt is no JSON: \(shown(excerpt))") }
  // What is true of this text for the parser: that it is an object, and its members.
  let expected = unsafe run.json.parse(bytes.span.bytes) { root in root.isObject ? Members(root) : nil }
  guard let expected else { return }
  guard let expected else { return try hold(whole.extent == .none, "\(whole.extent), and it is no object") }
  try hold(whole.extent == .whole, "\(whole.extent), and it is an object")
  for (found, expected) in zip(found.values, expected.values) {
    try hold(expected == nil || found == expected, "\(found ?? "nothing") in place of \(expected ?? "nothing")")
  }
}

/// The members that `paths` names, as far as every reader has to find them alike.
private struct Members {
  let values: [String?]

  init(_ root: JSONValue) {
    values = [root["a"], root["id"], root["content"], root["metadata"]?["user_id"]].map { value in
      guard let value else { return nil }
      // A longer string is cut, and an escape may take six bytes a scalar.
      if let string = value.string { return string.utf8.count < 300 ? "\"\(string)" : nil }
      if let int = value.int { return "\(int)" }
      return value.bool.map { "\($0)" } ?? (value.isNull ? "null" : nil)
    }
  }
}
