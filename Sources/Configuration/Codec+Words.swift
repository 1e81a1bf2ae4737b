// How settings are written that are words or values: Host, and the time for which data may be unacknowledged.
import SettingValues

extension Codec where Value == Settings.UserTimeout {
  /// `auto`, `off`, or a duration.
  static var userTimeout: Codec {
    let duration = Codec<Duration>.duration
    return Codec(one: "\(duration.expected), or auto, or off") { scalar in
      switch scalar.text {
      case "auto": .auto
      case "off": .off
      default: (try? duration.read(.one(scalar))).map { .after($0) }
      }
    } write: { timeout in
      switch timeout {
      case .auto: "auto"
      case .off: "off"
      case .after(let time): if case .one(let scalar) = duration.write(time) { scalar.text } else { "auto" }
      }
    }
  }
}

extension Codec where Value == Settings.HostField {
  /// `pass`, `upstream`, or a name.
  static var hostField: Codec {
    Codec(one: "pass, upstream or HOST[:PORT]", kind: .text) { scalar in
      switch scalar.text {
      case "pass": .pass
      case "upstream": .upstream
      case let name: scalar.canBe(.text) && isAuthority(name) ? .name(name) : nil
      }
    } write: { field in
      switch field {
      case .pass: "pass"
      case .upstream: "upstream"
      case .name(let name): name
      }
    }
  }
}
