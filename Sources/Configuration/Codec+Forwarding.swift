// How what is forwarded is written in settings.
import SettingValues

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
