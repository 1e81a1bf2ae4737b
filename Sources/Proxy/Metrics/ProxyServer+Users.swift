// The metrics of users: tokens that named nobody, and the users with most tokens where settings allow their names.
import Measurement
import Metrics

extension ProxyServer {
  /// Adds the families of users.
  func collectUsers(_ page: inout Exposition) {
    page.family(
      "tachograph_identity_token_failures_total", .counter,
      "JSON Web Tokens that named nobody, so that the next rule of identity.rules counted, by the reason.")
    for reason in TokenFailure.allCases {
      let count = state.counters.reduce(0) { $0 &+ $1.tokenFailures.count(reason) }
      page.sample(count, ["reason": reason.rawValue])
    }
    guard let users = state.users?.snapshot else { return }
    let ordered = users.users.sorted { $0.key < $1.key }
    page.family(
      "tachograph_user_exchanges_total", .counter,
      "Exchanges that have ended, by the users with most tokens (admin.users); the rest is other."
    )
    for (user, counts) in ordered { page.sample(counts.exchanges, ["user": user]) }
    page.sample(users.others.exchanges, ["user": UserRegistry.other])
    page.family("tachograph_user_tokens_total", .counter, "Their tokens, by type.")
    for (user, counts) in ordered {
      page.sample(counts.inputTokens, ["user": user, "type": "input"])
      page.sample(counts.outputTokens, ["user": user, "type": "output"])
    }
    page.sample(users.others.inputTokens, ["user": UserRegistry.other, "type": "input"])
    page.sample(users.others.outputTokens, ["user": UserRegistry.other, "type": "output"])
    page.family(
      "tachograph_users_folded", .gauge,
      "Different users that are counted together as other since the start; at most \(UserRegistry.mostCounted) are told apart."
    )
    page.sample(users.folded)
  }
}
