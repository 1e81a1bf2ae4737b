// Who sent a request, where its head is one of many that are alike.
import HTTP
import TestSupport
import Testing
import TokenWire

@testable import HTTP1
@testable import Measurement
@testable import Proxy

@Suite("Who sent a cached request")
struct RequestOriginsTests {
  /// Reads a head as a client's connection does.
  private final class Reader {
    let idle: IdleWorker
    private(set) var found = 0

    init(_ idle: IdleWorker) { self.idle = idle }

    /// - Returns: the user and the session.
    func origin(_ fields: String) throws -> (user: String, from: String, session: String?) {
      let worker = idle.worker
      let bytes = Array("POST /v1/chat/completions HTTP/1.1\r\nHost: llm\r\n\(fields)Content-Length: 0\r\n\r\n".utf8)
      let parser = MessageParser(.request, limits: .test())
      let cache = worker.headCaches.requests
      let (head, cached): (RequestHead, CachedRequest)
      if let match = cache.lookup(bytes.span.bytes, for: parser) {
        found += 1
        (head, cached) = (match.head, CachedRequest.of(match, idle.upstream()))
      } else {
        _ = parser.parse(bytes.span.bytes, into: BodyRanges())
        head = try RequestHead(parser)
        cached = CachedRequest(head, idle.upstream(), worker.configuration, worker)
        cache.insert(head, cached, from: parser)
      }
      let origin = cached.origin(of: head, worker.origins)
      let user = try #require(origin.identity(facts: RequestFacts(), client: "client"))
      return (user.user, user.from, origin.session(facts: RequestFacts()))
    }
  }

  @Test("The keys of a thousand clients are one kind of head, and each keeps its name")
  func keys() throws {
    let reader = Reader(try IdleWorker())
    var names: [String] = []
    for round in 0..<2 {
      for key in 0..<1_000 {
        let origin = try reader.origin("X-Request-Id: \(round)-\(key)\r\nAuthorization: Bearer sk-\(key)\r\n")
        #expect(origin.from == "api_key")
        if round == 0 { names.append(origin.user) } else { #expect(origin.user == names[key]) }
      }
    }
    #expect(Set(names).count == 1_000)
    #expect(reader.found >= 1_990 || NullCaches.areRequested)
  }

  @Test("What is kept of them is bounded")
  func bounded() throws {
    let reader = Reader(try IdleWorker())
    for key in 0..<20_000 { _ = try reader.origin("Authorization: Bearer sk-\(key)\r\n") }
    #expect(reader.idle.worker.origins.count <= 4_096)
  }

  @Test("Users and sessions that differ in alike heads are told apart, and their order of precedence stays")
  func users() throws {
    let reader = Reader(try IdleWorker())
    for round in 0..<3 {
      for name in ["ann", "bob", "cleo"] {
        let origin = try reader.origin(
          "X-User-Id: \(name)\r\nAuthorization: Bearer \(round)\r\nX-Session-Id: s-\(name)\r\n")
        #expect(origin.user == name && origin.from == "header:x-user-id" && origin.session == "s-\(name)")
      }
    }
    #expect(reader.found >= 6 || NullCaches.areRequested)
  }

  @Test("A value that counts as none in the first head does not in the next")
  func blank() throws {
    let reader = Reader(try IdleWorker())
    for value in ["Digest a=1, b=2", "Bearer two", "Digest a=3, b=4", "Bearer two"] {
      let origin = try reader.origin("Authorization: \(value)\r\n")
      #expect(origin.from == (value == "Bearer two" ? "api_key" : "client_ip"))
    }
  }
}
