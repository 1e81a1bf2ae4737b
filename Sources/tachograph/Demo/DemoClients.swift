// The demo's clients: their names, their requests and how they behave.

/// One client of the demo, as arguments of `tachograph load`.
struct DemoClient {
  var name: String
  var arguments: [String]

  init(
    _ name: String, model: String, path: String = "/v1/chat/completions", fields: [String] = [], _ options: [String]
  ) {
    self.name = name
    // Ollama streams by default and ignores stream_options.
    let body = "{\"model\":\"\(model)\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[]}"
    arguments = ["--quiet", "--path", path, "--body", body, "--id-prefix", name]
    for field in ["x-user-id: \(name)"] + fields { arguments += ["--header", field] }
    arguments += options
  }
}

extension DemoClient {
  /// One client of each kind.
  static let all: [DemoClient] = [
    // Patient: reads the whole answer, waits, asks again.
    DemoClient("patience", model: "large-70b", ["--connections", "2", "--stagger", "1", "--think", "0.7"]),
    // Reads slowly: its waits must not be counted as the model's.
    DemoClient(
      "slow-reader", model: "small-8b", fields: ["x-sim-interval: 1ms", "x-sim-tokens: 300"],
      ["--connections", "1", "--read-pause", "0.05", "--think", "2"]),
    // Gives up early: the server must stop generating then.
    DemoClient("hasty", model: "large-70b", ["--connections", "1", "--abort-after", "25", "--think", "1.5"]),
    // Sends many requests at once.
    DemoClient(
      "burst", model: "small-8b", fields: ["x-sim-interval: 6ms", "x-sim-tokens: uniform:10,40"],
      ["--connections", "6", "--think", "5"]),
    // Speaks Ollama.
    DemoClient(
      "llama-fan", model: "llama3.2:3b", path: "/api/chat", fields: ["x-sim-tokens: uniform:20,80"],
      ["--connections", "1", "--think", "1.2"]),
    // Gets errors: a 429, an error event in the middle of a stream, a cut stream.
    DemoClient(
      "unlucky", model: "large-70b", fields: ["x-sim-error-after: 15"], ["--connections", "1", "--think", "4"]),
    DemoClient("unlucky", model: "large-70b", fields: ["x-sim-status: 429"], ["--connections", "1", "--think", "6"]),
    DemoClient(
      "unlucky", model: "large-70b", fields: ["x-sim-cut-after: 30"], ["--connections", "1", "--think", "7"]),
  ]
}
