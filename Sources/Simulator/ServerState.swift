// The pages that are not a model's: health, lists of models, and the simulator's own state.

/// What the simulator is doing.
struct ServerState {
  var active: Int
  var waiting: Int
  var connections: Int
  var slots: Int?
  var ended: Int
  var aborted: Int
  var tokens: Int

  /// The body of a page, or nil where there is no such page.
  func page(_ path: String) -> [UInt8]? {
    switch path {
    case "/health": Array(#"{"status":"ok"}"#.utf8)
    case "/v1/models":
      Array(#"{"object":"list","data":[{"id":"simulated","object":"model","owned_by":"tachograph"}]}"#.utf8)
    case "/api/tags":
      Array(#"{"models":[{"name":"simulated","model":"simulated","size":0,"details":{}}]}"#.utf8)
    case "/api/version": Array(#"{"version":"0.1.0"}"#.utf8)
    case "/sim/state": Array(text.utf8)
    default: nil
    }
  }

  private var text: String {
    """
    {"active":\(active),"waiting":\(waiting),"slots":\(slots.map(String.init) ?? "null"),\
    "connections":\(connections),"ended":\(ended),"aborted":\(aborted),"tokens":\(tokens)}
    """
  }
}
