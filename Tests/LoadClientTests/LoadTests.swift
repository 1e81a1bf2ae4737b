// The load client against the simulator: every token counted, every ending named, arrivals held against the truth.
import Foundation
import SimulatorSupport
import Testing
import Transport

@testable import LoadClient

@Suite("The load client against the simulator")
struct LoadTests {
  /// Runs one load; the plan is changed by `change`.
  func load(
    _ fields: [(String, String)] = [], path: String = "/v1/chat/completions", _ change: (inout LoadPlan) -> Void
  ) throws -> (json: [String: Any], found: Int, wanted: Int) {
    let simulator = try RunningSimulator(tokens: 5)
    defer { simulator.stop() }
    var plan = LoadPlan(address: simulator.address, path: path, body: #"{"stream":true}"#)
    plan.fields = fields.map { (name: $0.0, value: $0.1) }
    plan.keepsArrivals = true
    change(&plan)
    var summary = LoadClient(loop: try EventLoop(), plan: plan).run()
    let (found, wanted) = summary.compare(withTruth: simulator.truthPath)
    let json = try JSONSerialization.jsonObject(with: Data(summary.json.utf8)) as? [String: Any]
    return (try #require(json), found, wanted)
  }

  @Test(
    "Each request of a closed loop is answered once, each token counted, each held against its write",
    arguments: ["/v1/chat/completions", "/v1/completions", "/api/chat", "/api/generate"])
  func closedLoop(path: String) throws {
    let seen = try load(path: path) {
      $0.connections = 4
      $0.requests = 20
    }
    #expect(seen.json["ok"] as? Int == 20 && seen.json["requests"] as? Int == 20)
    #expect(seen.json["tokens"] as? Int == 100)
    #expect(seen.found == 20 && seen.wanted == 20)
    let delay = try #require(seen.json["delay_us"] as? [String: Any])
    #expect(delay["n"] as? Int == 100)
    // A token cannot arrive before it was written; a stamp may be mapped a little early.
    let median = try #require(delay["p50"] as? Double)
    #expect(median > -100)
  }

  @Test("An open loop keeps its rate's number")
  func openLoop() throws {
    let seen = try load {
      $0.connections = 8
      $0.requests = 10
      $0.rate = 500
    }
    #expect(seen.json["ok"] as? Int == 10)
  }

  @Test(
    "Every ending has its name",
    arguments: [
      ("x-sim-status", "429", "status"), ("x-sim-error-after", "2", "in_band_error"),
      ("x-sim-cut-after", "2", "broken"),
      ("x-sim-reset-after", "2", "broken"), ("x-sim-no-done", "yes", "unterminated"),
      ("x-sim-framing", "close", "ok"),
    ])
  func endings(field: String, value: String, ending: String) throws {
    let seen = try load([(field, value)]) { $0.requests = 3 }
    #expect(seen.json[ending] as? Int == 3)
  }

  @Test("A client that gives up after a few tokens counts as such, and goes on")
  func abort() throws {
    let seen = try load([("x-sim-tokens", "1000000")]) {
      $0.requests = 3
      $0.abortAfterTokens = 4
    }
    #expect(seen.json["aborted"] as? Int == 3)
    let tokens = try #require(seen.json["tokens"] as? Int)
    #expect(tokens >= 12)
    #expect(seen.found == 3)
  }

  @Test("When the time is over, what is under way is cut and said so")
  func duration() throws {
    let seen = try load([("x-sim-hang", "3")]) {
      $0.connections = 2
      $0.durationMilliseconds = 100
    }
    #expect(seen.json["cut_at_end"] as? Int == 2 && seen.json["ok"] as? Int == 0)
  }
}
