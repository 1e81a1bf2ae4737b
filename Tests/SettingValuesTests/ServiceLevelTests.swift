// Service level objectives: how they are read and written, and which models they hold for.
import Testing

@testable import SettingValues

@Suite("Service level objectives")
struct ServiceLevelTests {
  @Test(
    "An objective is read from its text and written as it",
    arguments: ["ttft=500ms,tpot=30ms", "ttft=2s", "tpot=12500us", "ttft=1s,tpot=800us"])
  func text(text: String) { #expect(ServiceLevel(parsing: text)?.text == text) }

  @Test("Its parts stand in any order, and may have decimals")
  func parts() {
    let level = ServiceLevel(parsing: "tpot=12.5ms, ttft=1.5s")
    #expect(level == ServiceLevel(ttft: .milliseconds(1_500), tpot: .microseconds(12_500)))
  }

  @Test(
    "What is no objective is not read",
    arguments: [
      "", "ttft", "ttft=", "ttft=500", "ttft=-1s", "ttft=0ms", "ttft=1s,ttft=2s", "itl=3ms", "ttft=.5s", "ttft=1s,",
      "ttft=999999999s", "ttft=nan s",
    ])
  func refused(text: String) { #expect(ServiceLevel(parsing: text) == nil) }

  @Test("A model's objective is a pattern and two times")
  func model() {
    let level = ModelServiceLevel(parsing: "meta-llama/*=2s/100ms")
    #expect(level?.pattern == "meta-llama/*")
    #expect(level?.level == ServiceLevel(ttft: .seconds(2), tpot: .milliseconds(100)))
    #expect(level?.text == "meta-llama/*=2s/100ms")
    for text in ["", "=1s/1s", "m=1s", "m=1s/2s/3s", "m=x/1s"] { #expect(ModelServiceLevel(parsing: text) == nil) }
  }

  @Test(
    "A star stands for any text",
    arguments: [
      ("llama", "llama", true), ("llama", "llama-3", false), ("llama*", "llama-3", true), ("*", "", true),
      ("*70b*", "llama-70b-chat", true), ("l*b-*t", "llama-70b-chat", true), ("ab*ba", "aba", false),
      ("*x*", "llama", false), ("a**b", "ab", true),
    ])
  func patterns(pattern: String, model: String, fits: Bool) {
    #expect(ModelServiceLevel(parsing: "\(pattern)=1s/1s")?.fits(model) == fits)
  }

  @Test("A model's own objective goes before the general one; without either there is none")
  func levels() {
    var slo = Settings.ServiceLevels()
    #expect(slo.level(for: "m") == nil)
    slo.ttft = .seconds(1)
    slo.models = [ModelServiceLevel(parsing: "fast*=100ms/5ms")].compactMap(\.self)
    #expect(slo.level(for: "fast-1")?.text == "ttft=100ms,tpot=5ms")
    #expect(slo.level(for: "m")?.text == "ttft=1s")
    #expect(slo.level(for: nil)?.text == "ttft=1s")
  }
}
