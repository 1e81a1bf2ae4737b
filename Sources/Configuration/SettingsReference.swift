// Settings as text: those in force with their origin, and the reference with every setting and its default.
import SettingValues

/// One setting as it is in force.
public struct CurrentSetting: Hashable, Sendable {
  /// Dotted: `records.queue`.
  public let name: String
  /// As in a file, a list in brackets.
  public let value: String
  /// Where it was given.
  public let origin: SettingOrigin
}

extension Settings {
  /// Every setting in force, in the reference's order.
  public var current: [CurrentSetting] {
    Setting.all.map { setting in
      CurrentSetting(name: setting.name, value: inline(setting.value(self)), origin: origin(of: setting.name))
    }
  }

  /// The settings in force as an aligned table: name, value, origin; one line each.
  public func explain() -> String {
    let rows = current
    let nameWidth = rows.map(\.name.count).max() ?? 0
    let valueWidth = min(40, rows.map(\.value.count).max() ?? 0)
    return rows.map { row in
      "\(padded(row.name, to: nameWidth))  \(padded(row.value, to: valueWidth))  \(row.origin)"
    }.joined(separator: "\n")
  }

  /// The settings in force as a file, each with its origin. It has the same effect when it is loaded; a value that
  /// could be a secret is left out.
  public var currentFile: String {
    var lines = ["# The settings in force, and where each was given."]
    var group = ""
    for setting in current {
      let parts = setting.name.split(separator: ".")
      let isGrouped = parts.count == 2
      if isGrouped, group != String(parts[0]) {
        group = String(parts[0])
        lines.append("\(group):")
      }
      let value = Self.mayBeSecret(setting) ? "\"(not shown)\"" : setting.value
      lines.append("\(isGrouped ? "  " : "")\(parts[parts.count - 1]): \(value)  # \(setting.origin)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// No setting is a secret, and an upstream with a user name is refused. This keeps a later setting that is one from
  /// being shown by mistake.
  private static func mayBeSecret(_ setting: CurrentSetting) -> Bool {
    let last = setting.name.split { ".-_".contains($0) }.last ?? ""
    return ["secret", "key", "password", "credentials"].contains(last)
      || setting.value.contains("://") && setting.value.contains("@")
  }

  /// The reference: a settings file with every setting, its meaning and its default. Its upstream is an example,
  /// because that has no default. `config/tachograph.yaml` is this text; a test compares them.
  public static var referenceFile: String {
    var lines = opening
    let example = Settings(upstream: UpstreamAddress(host: "127.0.0.1", port: 8000))
    var group = ""
    for setting in Setting.all {
      let parts = setting.name.split(separator: ".")
      let isGrouped = parts.count == 2
      if isGrouped, group != String(parts[0]) {
        group = String(parts[0])
        lines += ["", "\(group):"]
      } else {
        lines.append("")
      }
      let indent = isGrouped ? "  " : ""
      let help = setting.help + (setting.needsRestart ? " A change needs a restart." : "")
      lines += wrapped(help, width: 116 - indent.count).map { "\(indent)# \($0)" }
      lines.append("\(indent)# \(setting.environmentName): \(setting.expected)")
      lines += assignment(String(parts[parts.count - 1]), setting.value(example)).map { indent + $0 }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let opening = [
    "# Every setting of `tachograph serve`, its meaning and its default. Remove the settings that you do not change.",
    "# Use it with `tachograph serve --config FILE`. Each setting is also an environment variable, named below its",
    "# meaning (write a list with commas), and a flag: --upstream, --listen, --workers, --records, --admin, and",
    "# --set NAME=VALUE for any of them (--set records.queue=1000). Flags win over the environment, the environment wins",
    "# over this file. If a name is unknown or a value is wrong, `serve` does not start and shows the line. SIGHUP reads",
    "# the settings again: new exchanges follow them, running exchanges keep theirs, and a file with a mistake changes",
    "# nothing.",
  ]
}

/// `name: value`, or a list with one element on each line.
private func assignment(_ name: String, _ value: RawSetting) -> [String] {
  switch value {
  case .one(let scalar): ["\(name): \(plainOrQuoted(scalar))"]
  case .many(let scalars) where scalars.isEmpty: ["\(name): []"]
  case .many(let scalars): ["\(name):"] + scalars.map { "  - \(plainOrQuoted($0))" }
  }
}

/// A value on one line, as a file has it.
func inline(_ value: RawSetting) -> String {
  switch value {
  case .one(let scalar): plainOrQuoted(scalar)
  case .many(let scalars): "[\(scalars.map { plainOrQuoted($0) }.joined(separator: ", "))]"
  }
}

/// A value as YAML: plain where that is unambiguous, else in double quotes.
private func plainOrQuoted(_ scalar: Scalar) -> String {
  let text = scalar.text
  let isPlain = text.utf8.allSatisfy { "-._/:".utf8.contains($0) || isAlphanumeric($0) }
  guard isPlain, let first = text.utf8.first, !"-:".utf8.contains(first), text.utf8.last != UInt8(ascii: ":"),
    !(scalar.kind == .text && looksTyped(text))
  else {
    return "\"\(text.unicodeScalars.map(escaped).joined())\""
  }
  return text
}

/// A scalar as it stands in a double-quoted value (YAML 1.2, §5.7): what cannot be shown, or breaks lines, as its number.
private func escaped(_ scalar: Unicode.Scalar) -> String {
  switch scalar {
  case "\\", "\"": return "\\\(scalar)"
  case "\u{2028}", "\u{2029}", "\u{FEFF}", "\u{FFFE}", "\u{FFFF}": break
  case _ where scalar.properties.generalCategory == .control: break
  default: return String(scalar)
  }
  let digits = String(scalar.value, radix: 16, uppercase: true)
  return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
}

/// Whether YAML could read a text as another kind. It may be true of a text that is safe.
private func looksTyped(_ text: String) -> Bool {
  let words: Set = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "auto"]
  let opensNumber = text.utf8.first.map { "+-.0123456789".utf8.contains($0) } ?? true
  return words.contains(text.lowercased()) || opensNumber && !text.contains("/")
}

private func padded(_ text: String, to width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

/// Breaks a text into lines of at most `width` letters.
private func wrapped(_ text: String, width: Int) -> [String] {
  var lines: [String] = []
  var line = ""
  for word in text.split(separator: " ") {
    if !line.isEmpty && line.count + 1 + word.count > width {
      lines.append(line)
      line = ""
    }
    line += (line.isEmpty ? "" : " ") + word
  }
  return line.isEmpty ? lines : lines + [line]
}
