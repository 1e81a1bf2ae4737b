// Requests that settings name by method and path.
import Testing

@testable import SettingValues

@Suite("Request patterns")
struct RequestPatternTests {
  @Test(
    "A pattern fits a path, a beginning of it, and a method",
    arguments: [
      ("/health", "GET", "/health", true), ("/health", "HEAD", "/health", true), ("/health", "GET", "/health/", false),
      ("/health", "GET", "/healthz", false), ("/health*", "GET", "/healthz", true), ("/-/*", "GET", "/-/ready", true),
      ("OPTIONS *", "OPTIONS", "*", true), ("OPTIONS *", "OPTIONS", "/", true), ("OPTIONS *", "GET", "/", false),
      ("GET /", "GET", "/", true), ("GET /", "GET", "/v1", false), ("get /", "GET", "/", false),
      // Bytes are compared: these are the same text.
      ("/caf\u{e9}", "GET", "/cafe\u{301}", false), ("/cafe*", "GET", "/cafe\u{301}", true),
    ])
  func fits(pattern: String, method: String, path: String, isOne: Bool) {
    #expect(RequestPattern(pattern)?.matches(method: method, path: path) == isOne)
  }

  @Test("A pattern is written as it was read", arguments: ["/health", "/-/*", "OPTIONS *", "*", "GET /a*b"])
  func written(text: String) { #expect(RequestPattern(text)?.description == text) }

  @Test("What names no path is none", arguments: ["", " ", "health", "GET", "GET /a b", "http://h/"])
  func none(text: String) { #expect(RequestPattern(text) == nil) }
}
