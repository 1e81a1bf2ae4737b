// What the setting values compute: rounding, grace, and which addresses lead back to the proxy.
import Testing

@testable import SettingValues

@Suite("Setting values")
struct SettingValuesTests {
  private let settings = Settings(upstream: UpstreamAddress(host: "llm", port: 80))

  @Test("Seconds are rounded up, milliseconds down")
  func rounding() {
    #expect([0, 1, 999, 1000, 1001].map { Duration.milliseconds($0).secondsRoundedUp } == [0, 1, 1, 1, 2])
    #expect(Duration.nanoseconds(1).secondsRoundedUp == 1)
    #expect(Duration.microseconds(1_999).wholeMilliseconds == 1)
    #expect(Duration.seconds(604_800).wholeMilliseconds == 604_800_000)
  }

  @Test("The grace of a request body is its timeout, and that timeout's default where it is off")
  func grace() {
    var timeouts = settings.timeouts
    #expect(timeouts.requestBodyGrace == timeouts.requestBody)
    timeouts.requestBody = .seconds(7)
    #expect(timeouts.requestBodyGrace == .seconds(7))
    timeouts.requestBody = nil
    #expect(timeouts.requestBodyGrace == .seconds(60))
  }

  @Test("An IPv6 address stands in brackets before its port")
  func authority() {
    #expect(UpstreamAddress(host: "::1", port: 8000).description == "[::1]:8000")
    #expect(ListenAddress(host: "127.0.0.1", port: 0).description == "127.0.0.1:0")
  }

  @Test(
    "Only the loopback addresses are of this machine alone",
    arguments: [
      ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("0.0.0.0", false),
      ("::", false), ("10.0.0.1", false), ("::2", false),
    ])
  func loopback(host: String, isLoopback: Bool) {
    #expect(ListenAddress(host: host, port: 1).isLoopback == isLoopback)
  }

  @Test(
    "A text that is no range is none", arguments: ["", "10.0.0.0/33", "::1/129", "10.0.0.0/-1", "a/8", "10.0.0.0/"])
  func noRange(text: String) { #expect(AddressRange(text) == nil) }

  @Test("A setting that nobody gave has its default")
  func origin() {
    #expect(settings.origin(of: "listen") == .standard)
    #expect("\(settings.origin(of: "listen"))" == "default")
  }
}
