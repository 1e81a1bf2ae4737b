// Rules of identity as settings write them.
import Testing

@testable import SettingValues

@Suite("Rules of identity as text")
struct IdentityRuleTextTests {
  @Test(
    "A rule is written as it is read",
    arguments: [
      "header:x-user-id", "body:user", "body:safety_identifier", "body:metadata.user_id", "body:litellm_metadata.user",
      "body:prompt_cache_key", "jwt:sub", "jwt:email@x-token", "api_key", "client_ip", "fixed:the batch job",
      "openwebui",
      "librechat", "litellm", "helicone",
    ])
  func roundTrip(_ text: String) { #expect(IdentityRuleText(text)?.description == text) }

  @Test("A header is in lower case, and a token is in authorization unless another header is named")
  func kinds() {
    #expect(IdentityRuleText("header:X-User")?.kind == .header("x-user"))
    #expect(IdentityRuleText("jwt:sub")?.kind == .token(claim: "sub", header: "authorization"))
    #expect(IdentityRuleText("jwt:a@b@X-T")?.kind == .token(claim: "a@b", header: "x-t"))
  }

  @Test(
    "What is no rule is none",
    arguments: [
      "", "header:", "header:a b", "body:messages", "jwt:", "jwt:@x", "jwt:sub@", "fixed:", "api-key", "Openwebui",
      "user",
    ])
  func refused(_ text: String) { #expect(IdentityRuleText(text) == nil) }
}
