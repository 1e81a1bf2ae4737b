// The admin listener over real sockets: what it answers, what it refuses, and that nobody can hold it.
import Admin
import TestSupport
import Testing
import Transport

@Suite("The admin listener") struct AdminServerTests {
  private func withServer(_ body: (UInt16) throws -> Void) throws {
    let server = try AdminServer(host: "127.0.0.1", port: 0, onTrouble: { _ in }) { path in
      switch path {
      case "/page": AdminPage(body: "hello\n")
      case "/large": AdminPage(body: String(repeating: "x", count: 4_000_000) + "end\n")
      case "/broken": AdminPage(status: 503, body: "draining\n")
      default: nil
      }
    }
    defer { server.stop() }
    try body(try #require(UInt16(server.address.split(separator: ":").last ?? "")))
  }

  @Test("A page is answered whole, and the connection serves the next request")
  func pages() throws {
    try withServer { port in
      let client = try SocketPeer(connectingTo: port)
      for _ in 0..<3 {
        try client.send("GET /page?ignored=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        let answer = try client.read(through: "hello\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n"))
        #expect(answer.contains("Cache-Control: no-store\r\n"))
      }
      try client.send("GET /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let last = try client.readToEndOrReset().text
      #expect(last.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n") && last.contains("Connection: close\r\n"))
    }
  }

  @Test("Requests that come together, or byte by byte, are answered one after the other")
  func pipelined() throws {
    try withServer { port in
      let together = try SocketPeer(connectingTo: port)
      try together.send(
        String(repeating: "GET /page HTTP/1.1\r\nHost: a\r\n\r\n", count: 5)
          + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let answers = try together.readToEndOrReset().text
      #expect(answers.split(separator: "HTTP/1.1 200 OK").count == 5 && answers.contains("HTTP/1.1 404 Not Found"))
      let slow = try SocketPeer(connectingTo: port)
      for byte in "GET /page HTTP/1.1\r\nHost: a\r\n\r\n" { try slow.send(String(byte)) }
      #expect(try slow.read(through: "hello\n").hasPrefix("HTTP/1.1 200"))
    }
  }

  @Test("A large page reaches a slow reader whole, and a second request waits for it")
  func largePages() throws {
    try withServer { port in
      let client = try SocketPeer(connectingTo: port)
      try client.send(
        "GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let answer = try client.readToEndOrReset().text
      #expect(answer.utf8.count > 4_000_000 && answer.contains("end\nHTTP/1.1 200 OK") && answer.hasSuffix("hello\n"))
    }
  }

  @Test("HEAD has the page's head alone")
  func heads() throws {
    try withServer { port in
      let client = try SocketPeer(connectingTo: port)
      try client.send("HEAD /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let answer = try client.readToEndOrReset().text
      #expect(answer.contains("Content-Length: 6\r\n") && answer.hasSuffix("\r\n\r\n"))
    }
  }

  @Test(
    "What is no plain request for a page is refused",
    arguments: [
      ("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "413"),
      ("DELETE /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "405"),
      ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "405"), ("GET /nothing HTTP/1.0\r\n\r\n", "404"),
      ("GET /page HTTP/1.1\r\n\r\n", "400"), ("GET /page HTTP/2.0\r\n\r\n", "505"), ("garbage\r\n\r\n", "400"),
      ("GET /\(String(repeating: "a", count: 3_000)) HTTP/1.1\r\nHost: a\r\n\r\n", "414"),
      ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 9_000))\r\n\r\n", "431"),
    ])
  func refusals(request: String, status: String) throws {
    try withServer { port in
      let client = try SocketPeer(connectingTo: port)
      try client.send(request)
      let answer = try client.readToEndOrReset().text
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer.prefix(80))")
    }
  }

  @Test("Clients that hold connections make room for the next one")
  func hoarding() throws {
    try withServer { port in
      let hoard = try (0..<100).map { _ in try SocketPeer(connectingTo: port) }
      for client in hoard { try client.send("GET ") }
      let client = try SocketPeer(connectingTo: port)
      try client.send("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(try client.readToEndOrReset().text.hasSuffix("hello\n"))
      #expect(try hoard[0].readToEndOrReset().text == "")
    }
  }

  @Test("A port in use, and what is no address, are errors")
  func addresses() throws {
    try withServer { port in
      #expect(throws: TransportError.self) {
        try AdminServer(host: "127.0.0.1", port: port, onTrouble: { _ in }) { _ in nil }
      }
    }
    #expect(throws: TransportError.self) { try AdminServer(host: "a name", port: 0, onTrouble: { _ in }) { _ in nil } }
  }
}
