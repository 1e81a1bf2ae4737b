// Reads a YAML file of settings: each setting's name, its text and its line. It checks names and shapes; no problem
// that it reports repeats a value.
import SettingValues
import Yams

/// The settings of one file.
struct SettingsFile {
  let path: String
  private(set) var entries: [(name: String, raw: RawSetting, origin: SettingOrigin)] = []
  private(set) var problems: [SettingsProblem] = []
  /// Whether its settings are unknown: it is not valid YAML, or has a setting twice.
  private(set) var isIllegible = false

  init(path: String, contents: String) {
    self.path = path
    // Yams takes a byte order mark for text, and then the settings for a second document.
    let text = contents.unicodeScalars.first == "\u{FEFF}" ? String(contents.unicodeScalars.dropFirst()) : contents
    do {
      // Without an encoding Yams asks the environment and prints a message about it on standard output.
      guard let root = try Parser(yaml: text, encoding: .utf8).singleRoot() else { return }
      readRoot(root)
    } catch {
      isIllegible = true
      problems.append(syntaxProblem(error, in: text))
    }
  }

  private func origin(_ mark: Mark?) -> SettingOrigin { .file(path: path, line: mark?.line ?? 1) }

  private mutating func refuse(_ mark: Mark?, _ what: String, _ remedy: String) {
    problems.append(SettingsProblem(origin: origin(mark), what: what, remedy: remedy))
  }

  private mutating func readRoot(_ root: Node) {
    switch root {
    case .mapping(let mapping): read(mapping, prefix: "")
    case .scalar, .sequence, .alias:
      refuse(root.mark, "expected settings, found something else", "write lines like listen: 127.0.0.1:4141")
    }
  }

  private mutating func read(_ mapping: Node.Mapping, prefix: String) {
    for (key, value) in mapping {
      guard case .scalar(let scalar) = key else {
        refuse(key.mark, "expected the name of a setting", "write lines like listen: 127.0.0.1:4141")
        continue
      }
      let name = prefix + scalar.string
      if Setting.named(name) != nil {
        readValue(value, of: name)
      } else if Setting.all.contains(where: { $0.name.hasPrefix("\(name).") }) {
        readGroup(value, name: name)
      } else {
        let isInGroup = !prefix.isEmpty
        refuse(key.mark, "\(quoted(name)) is not a setting", nearestRemedy(to: name, isInGroup: isInGroup))
      }
    }
  }

  /// An empty group is valid: all its lines may be comments.
  private mutating func readGroup(_ value: Node, name: String) {
    switch value {
    case .mapping(let mapping): read(mapping, prefix: "\(name).")
    case .scalar where isNull(value): break
    case .scalar, .sequence, .alias:
      refuse(
        value.mark, "\(name) is a group of settings, not a setting", "write its settings indented on the lines below it"
      )
    }
  }

  private mutating func readValue(_ value: Node, of name: String) {
    switch value {
    case .scalar(let scalar) where !isNull(value):
      entries.append((name, .one(typed(scalar, value)), origin(value.mark)))
    case .scalar:
      refuse(value.mark, "\(name) has no value", "write one, or remove the line")
    case .sequence(let sequence):
      readList(sequence, of: name, at: value.mark)
    case .mapping, .alias:
      let expected = Setting.named(name)?.expected ?? "a value"
      refuse(value.mark, "\(name): expected \(expected), found a group of settings", "write one value")
    }
  }

  private mutating func readList(_ sequence: Node.Sequence, of name: String, at mark: Mark?) {
    var scalars: [Scalar] = []
    for element in sequence {
      guard case .scalar(let scalar) = element, !isNull(element) else {
        refuse(element.mark, "\(name): expected single values in its list", "write it like [a, b]")
        return
      }
      scalars.append(typed(scalar, element))
    }
    entries.append((name, .many(scalars), origin(mark)))
  }

  /// The kind that YAML finds for a value. No setting has one of its other kinds (fractions, dates).
  private func typed(_ scalar: Node.Scalar, _ node: Node) -> Scalar {
    switch node.tag.rawValue {
    case Tag.Name.str.rawValue: Scalar(scalar.string, .text)
    case Tag.Name.int.rawValue: Scalar(scalar.string, .integer)
    case Tag.Name.bool.rawValue: Scalar(scalar.string, .truth)
    default: Scalar(scalar.string, .other)
    }
  }

  private func isNull(_ node: Node) -> Bool { node.tag.rawValue == Tag.Name.null.rawValue }

  /// The message of Yams without the lines of the file that it quotes.
  private func syntaxProblem(_ error: any Error, in text: String) -> SettingsProblem {
    let fix = "correct the YAML; `tachograph config` prints an example"
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return SettingsProblem(origin: origin(mark), what: "not valid YAML: \(problem)", remedy: fix)
    case .duplicatedKeysInMapping(let duplicates, let context):
      // What Yams calls a key that is a list or a group. Whether it takes two of them for one differs from time to time.
      let plain = duplicates.filter { $0 != "<uncovertable>" }
      let names = plain.isEmpty ? "what is no name" : plain.sorted().map(quoted).joined(separator: ", ")
      let line = duplicates.compactMap { Self.line(ofSecond: $0, in: text, from: context.mark) }.min()
      return SettingsProblem(
        origin: .file(path: path, line: line ?? context.mark.line), what: "\(names) is set twice",
        remedy: "remove one of them")
    default:
      return SettingsProblem(origin: .file(path: path, line: 1), what: "not valid YAML", remedy: fix)
    }
  }
}

extension SettingsFile {
  /// The line of the second setting called `name` in the mapping that begins at `mark`, which is all that Yams tells;
  /// nil where the name is not found at the beginning of two lines of that indentation.
  private static func line(ofSecond name: String, in text: String, from mark: Mark) -> Int? {
    let beginning = String(repeating: " ", count: mark.column - 1) + name + ":"
    let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
    let places = lines.indices.filter { $0 >= mark.line - 1 && lines[$0].hasPrefix(beginning) }
    return places.count > 1 ? places[1] + 1 : nil
  }
}

/// The remedy for a name that no setting has.
func nearestRemedy(to name: String, isInGroup: Bool = true) -> String {
  let names = Setting.all.map(\.name)
  // At the top level of a file, a group may have been meant.
  let groups =
    isInGroup
    ? []
    : Set(names.filter { $0.contains(".") }.compactMap { $0.split(separator: ".").first.map(String.init) }).sorted()
  return (synonym(of: name) ?? nearestName(to: name, among: names + groups)).map { "did you mean \($0)?" }
    ?? "remove it; `tachograph config` prints every setting"
}
