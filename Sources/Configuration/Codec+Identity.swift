// How the rules of identity are read from text and written back.
import SettingValues

extension Codec where Value == [IdentityRuleText] {
  static var identityRules: Codec {
    Codec(many: "a list of rules, such as header:x-user-id or jwt:sub") {
      (scalars) throws(InvalidValue) -> [IdentityRuleText] in
      var rules: [IdentityRuleText] = []
      for scalar in scalars {
        guard let rule = IdentityRuleText(scalar.text) else {
          throw InvalidValue(
            what: "\(quoted(scalar.text)) is not a rule",
            remedy: "use header:NAME, body:MEMBER (\(IdentityRuleText.members.joined(separator: ", "))), jwt:CLAIM,"
              + " jwt:CLAIM@HEADER, api_key, client_ip, fixed:NAME or one of "
              + IdentityRuleText.FrontEnd.allCases.map(\.rawValue).joined(separator: ", "))
        }
        rules.append(rule)
      }
      return rules
    } write: {
      $0.map(\.description)
    }
  }
}

extension Codec where Value == [String] {
  /// Users' names, as they are.
  static var names: Codec {
    Codec(many: "a list of names") { (scalars) throws(InvalidValue) -> [String] in
      scalars.map(\.text)
    } write: {
      $0
    }
  }
}
