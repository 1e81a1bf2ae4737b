// The admin listener over real sockets: what it answers, what it refuses, and that nobody can hold it.
import Glibc
import TestSupport
import Testing
import Transport

@testable import Admin

@Suite("The admin listener") struct AdminServerTests {
  private func withServer(_ body: (UInt16) throws -> Void) throws {
    let (server, port) = try startServer()
    defer { server.stop() }
    try body(port)
  }

  private func startServer() throws -> (server: AdminServer, port: UInt16) {
    let server = try AdminServer(host: "127.0.0.1", port: 0, onTrouble: { _ in }) { path in
      switch path {
      case "/page": AdminPage(body: "hello\n")
      case "/large": AdminPage(body: String(repeating: "x", count: 4_000_000) + "end\n")
      case "/broken": AdminPage(status: 503, body: "draining\n")
      default: nil
      }
    }
    return (server, try #require(UInt16(server.address.split(separator: ":").last ?? "")))
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
      #expect(answer.contains("\r\nAllow: GET, HEAD\r\n") == (status == "405"))
    }
  }

  /// Asks for the page on a connection that stays open.
  private func askForPage(_ client: SocketPeer) throws {
    try client.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(try client.read(through: "hello\n").hasPrefix("HTTP/1.1 200"))
  }

  @Test("An HTTP/1.0 client that asks for it keeps its connection, and is told so; others are told only of the close")
  func keepAlive() throws {
    try withServer { port in
      let client = try SocketPeer(connectingTo: port)
      try client.send("GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      #expect(try client.read(through: "hello\n").contains("\r\nConnection: keep-alive\r\n"))
      try client.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try !client.read(through: "hello\n").contains("\r\nConnection:"))
      try client.send("GET /page HTTP/1.0\r\n\r\n")
      #expect(try client.readToEndOrReset().text.contains("\r\nConnection: close\r\n"))
    }
  }

  @Test("Of as many clients as there may be, the one that has been idle for longest makes room for the next")
  func room() throws {
    try withServer { port in
      let clients = try (0..<AdminServer.connections).map { _ in try SocketPeer(connectingTo: port) }
      for client in clients { try askForPage(client) }
      try askForPage(clients[0])
      let next = try SocketPeer(connectingTo: port)
      try askForPage(next)
      _ = clients[1].isReady(POLLIN, milliseconds: SocketPeer.deadline)
      #expect(clients.indices.filter { clients[$0].isReady(POLLIN, milliseconds: 0) } == [1])
      #expect(try clients[1].readToEndOrReset().text == "")
    }
  }

  @Test("A stop ends the connections of all clients")
  func stop() throws {
    let (server, port) = try startServer()
    let clients = try (0..<2).map { _ in try SocketPeer(connectingTo: port) }
    for client in clients { try askForPage(client) }
    let stopping = try WorkerThread(name: "stop") { server.stop() }
    defer {
      for client in clients { client.close() }
      stopping.join()
    }
    for client in clients { try client.waitForEnd() }
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
