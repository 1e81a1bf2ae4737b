// What people read about settings: those in force with their origin, and the reference with every key and its default.
// It must not know how they are loaded.

/// One setting as it is in force.
public struct SettingInForce: Hashable, Sendable {
  /// Dotted: `records.queue`.
  public let name: String
  /// As a file would say it, a list in brackets.
  public let value: String
  /// Where it was said.
  public let origin: SettingOrigin
}

extension Settings {
  /// Every setting in force, in the reference's order.
  public var inForce: [SettingInForce] {
    Setting.all.map { setting in
      SettingInForce(name: setting.name, value: inline(setting.value(self)), origin: origin(of: setting.name))
    }
  }

  /// The settings in force as an aligned table: name, value, origin; one line each.
  public func explain() -> String {
    let rows = inForce
    let nameWidth = rows.map(\.name.count).max() ?? 0
    let valueWidth = min(40, rows.map(\.value.count).max() ?? 0)
    return rows.map { row in
      "\(padded(row.name, to: nameWidth))  \(padded(row.value, to: valueWidth))  \(row.origin)"
    }.joined(separator: "\n")
  }

  /// The settings in force as a file that would say them again, each with its origin; what could be a secret is left out.
  public var inForceFile: String {
    var lines = ["# The settings in force, and where each was said."]
    var group = ""
    for setting in inForce {
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

  /// No setting holds a secret, and an upstream that names a user is refused. One that some day may is not shown before
  /// somebody has thought of it.
  private static func mayBeSecret(_ setting: SettingInForce) -> Bool {
    let last = setting.name.split { ".-_".contains($0) }.last ?? ""
    return ["secret", "key", "password", "credentials"].contains(last)
      || setting.value.contains("://") && setting.value.contains("@")
  }

  /// The reference: a file with every setting, its meaning and its default, that can be used as it is.
  ///
  /// `config/tachograph.yaml` is this text (a test holds them together); its upstream is an example, for that has no default.
  public static var referenceFile: String {
    var lines = opening
    let example = Settings(upstream: Upstream(host: "127.0.0.1", port: 8000))
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
    "# Every setting of `tachograph serve`, its meaning and its default: leave out what you do not change.",
    "# Use it with `tachograph serve --config FILE`. Each setting is also an environment variable, named below its meaning",
    "# (a list with commas), and a flag: --upstream, --listen, --workers, --records, --admin, and --set NAME=VALUE for any",
    "# of them (--set records.queue=1000). Flags win over the environment, the environment wins over this file.",
    "# An unknown name or a wrong value is refused at the start, with its line. SIGHUP has all of it read again: exchanges that",
    "# begin then follow it, those under way keep what they began with, and a file with a mistake changes nothing.",
  ]
}

/// `name: value`, or a list with an element a line.
private func assignment(_ name: String, _ value: RawSetting) -> [String] {
  switch value {
  case .one(let scalar): ["\(name): \(plainOrQuoted(scalar))"]
  case .many(let scalars) where scalars.isEmpty: ["\(name): []"]
  case .many(let scalars): ["\(name):"] + scalars.map { "  - \(plainOrQuoted($0))" }
  }
}

/// A value in one line, as a file takes it back.
func inline(_ value: RawSetting) -> String {
  switch value {
  case .one(let scalar): plainOrQuoted(scalar)
  case .many(let scalars): "[\(scalars.map { plainOrQuoted($0) }.joined(separator: ", "))]"
  }
}

/// A value as YAML takes it back: plain where it can be, else in double quotes.
private func plainOrQuoted(_ scalar: Scalar) -> String {
  let text = scalar.text
  let isPlain = text.utf8.allSatisfy { "-._/:".utf8.contains($0) || isAlphanumeric($0) }
  guard isPlain, let first = text.utf8.first, !"-:".utf8.contains(first), !(scalar.kind == .text && looksTyped(text))
  else {
    return "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
  }
  return text
}

/// Whether YAML could take text for something else; it may say so of text that is safe, too.
private func looksTyped(_ text: String) -> Bool {
  let words: Set = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "auto"]
  let opensNumber = text.utf8.first.map { "+-.0123456789".utf8.contains($0) } ?? true
  return words.contains(text.lowercased()) || opensNumber && !text.contains("/")
}

private func padded(_ text: String, to width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

/// Words put into lines of at most `width` letters.
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
