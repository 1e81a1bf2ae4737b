// Unix-domain sockets: where they differ from TCP, and listening on a path.
import CSocket
import Clocks
import Glibc
import Testing

@testable import Transport

@Suite("Unix sockets")
struct UnixStreamTests {
  @Test("A listener accepts on a path, and its streams speak with those that connect to it")
  func listener() throws {
    let driver = try LoopDriver()
    let path = SocketPath()
    let listener = try Listener(loop: driver.loop, socket: ListeningSocket(path.address()))
    let (server, client) = (RecordingDelegate(), RecordingDelegate())
    var accepted: [any ByteStream] = []
    listener.start {
      accepted.append($0)
      $0.delegate = server
      $0.startReading()
    } onFailure: {
      Issue.record("\($0)")
    }
    let stream = try SocketStream.connect(loop: driver.loop, to: listener.address, stamped: true, delegate: client)
    #expect(!stream.write("question"))
    try driver.until { server.text == "question" }
    #expect(stream is UnixStream && accepted.first is UnixStream)
    #expect(accepted.first?.peer?.description == "unix:" && stream.peer?.description == "unix:\(path.text)")
    #expect(client.events == ["connect"] && accepted.count == 1)
    accepted.first.map { _ = $0.write("answer") }
    try driver.until { client.text == "answer" }
    #expect(client.arrivals.map(\.source) == [.loop])
    accepted.first?.close()
    try driver.until { client.ends == 1 }
    stream.close()
    listener.close()
    #expect(!driver.isAlive())
  }

  @Test("The file goes with the last listener, and clients that came before are still accepted")
  func file() throws {
    let driver = try LoopDriver()
    let path = SocketPath()
    let socket = try ListeningSocket(path.address())
    let listeners = try (0..<2).map { _ in try Listener(loop: driver.loop, socket: socket) }
    socket.close()
    var accepted = 0
    for listener in listeners {
      listener.start {
        accepted += 1
        $0.close()
      } onFailure: {
        Issue.record("\($0)")
      }
    }
    listeners[0].close()
    #expect(path.exists)
    let client = try plainClient(of: path.address())
    defer { close(client) }
    listeners[1].close()
    #expect(!path.exists && accepted == 1)
    #expect(!driver.isAlive())
  }

  @Test("A file that nobody listens on is replaced; one of a server, and one that is no socket, is not")
  func staleFile() throws {
    let path = SocketPath()
    let inUse = TransportError(.listen, code: -EADDRINUSE)
    close(try boundSocket(path.address()))
    let first = try ListeningSocket(path.address())
    #expect(throws: inUse) { _ = try ListeningSocket(path.address()) }
    #expect(path.exists)
    first.close()
    #expect(!path.exists)
    close(open(path.text, O_CREAT | O_WRONLY, 0o600))
    #expect(throws: inUse) { _ = try ListeningSocket(path.address()) }
    #expect(path.exists)
  }

  @Test("The file of a successor stays when the former listener closes")
  func successor() throws {
    let path = SocketPath()
    let former = try ListeningSocket(path.address())
    unlink(path.text)
    let successor = try ListeningSocket(path.address())
    former.close()
    #expect(path.exists)
    successor.close()
  }

  @Test("A path cannot be shared between sockets, and is taken over only where that is asked for")
  func sharing() throws {
    let path = SocketPath()
    for sharing in [ListeningSocket.Sharing.workers, .processes] {
      #expect(throws: TransportError(.listen, code: -EOPNOTSUPP)) {
        _ = try ListeningSocket(path.address(), sharing: sharing)
      }
    }
    let inherited = try boundSocket(path.address())
    listen(inherited, 1)
    #expect(throws: TransportError(.listen, code: -EAFNOSUPPORT)) { _ = try ListeningSocket(inherited: inherited) }
    let socket = try ListeningSocket(inherited: inherited, families: [.unix])
    #expect(try socket.address == path.address())
    // It is closed with the socket; whoever made the file removes it.
    socket.close()
    #expect(path.exists)
  }

  @Test("A peer sees a reset where it has sent what was not read, and an end otherwise", arguments: [true, false])
  func reset(unread: Bool) throws {
    let pair = try Pair(.unix)
    pair.stream.pauseReading(detectingClose: false)
    if unread { pair.send("unread") }
    pair.stream.close(reset: true)
    var byte: UInt8 = 0
    let count = recv(pair.peer, &byte, 1, 0)
    #expect(unread ? count == -1 && errno == ECONNRESET : count == 0)
  }

  @Test("What stands behind a descriptor that the peer passes is read without any further arrival")
  func passedDescriptor() throws {
    let pair = try Pair(.unix)
    pair.stream.pauseReading(detectingClose: false)
    sendDescriptor(pair.peer, text: "with")
    sendDescriptor(pair.peer, text: "and")
    pair.send("behind")
    pair.stream.startReading()
    try pair.driver.until { pair.delegate.text == "withandbehind" }
    // A read stops behind each descriptor.
    #expect(pair.delegate.arrivals.count > 1)
  }

  @Test("A server whose queue is full fails the connect at once")
  func fullQueue() throws {
    let driver = try LoopDriver()
    let listening = try PlainListener(.unix, backlog: 0)
    let first = try plainClient(of: listening.address)
    defer { close(first) }
    #expect(throws: TransportError(.connect, code: -EAGAIN)) {
      _ = try SocketStream.connect(
        loop: driver.loop, to: listening.address, stamped: false, delegate: RecordingDelegate())
    }
    #expect(!driver.isAlive())
  }

  @Test("A peer that closes does not wake a paused stream for ever, and its end is read later")
  func closedWhilePaused() throws {
    let pair = try Pair(.unix)
    pair.stream.pauseReading(detectingClose: false)
    pair.stream.detectsReset = true
    pair.send("kept")
    pair.closePeer()
    #expect(try pair.driver.turnsWhileIdle() < 10)
    #expect(pair.delegate.events == ["connect"])
    pair.stream.startReading()
    try pair.driver.until { pair.delegate.ends == 1 }
    #expect(pair.delegate.text == "kept")
  }

  @Test("Addresses of Unix sockets are written with their path, and compared by it")
  func addresses() throws {
    let path = SocketPath()
    let address = try path.address()
    #expect(address.family == .unix && address.path == path.text && address.port == 0)
    #expect(address.host == "unix:\(path.text)" && address.description == address.host)
    #expect(try address == path.address() && address != SocketAddress(unixPath: path.text + "x"))
    #expect(Set([address, try path.address()]).count == 1)
    #expect(SocketAddress(unixPath: "") == nil && SocketAddress(unixPath: "a\0b") == nil)
    #expect(SocketAddress(unixPath: "@name") == nil)
    #expect(SocketAddress(unixPath: String(repeating: "x", count: 107)) != nil)
    #expect(SocketAddress(unixPath: String(repeating: "x", count: 108)) == nil)
    #expect(SocketAddress(literal: "127.0.0.1", port: 80)?.path == nil)
  }

  /// Sends `text` together with a descriptor (SCM_RIGHTS).
  private func sendDescriptor(_ socket: Int32, text: String) {
    var bytes = Array(text.utf8)
    var control = [UInt8](repeating: 0, count: 24)
    let headerBytes = MemoryLayout<cmsghdr>.size
    control.withUnsafeMutableBytes { control in
      bytes.withUnsafeMutableBytes { bytes in
        var span = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        var header = cmsghdr()
        header.cmsg_len = headerBytes + 4
        header.cmsg_level = SOL_SOCKET
        header.cmsg_type = Int32(SCM_RIGHTS)
        control.storeBytes(of: header, as: cmsghdr.self)
        control.storeBytes(of: STDIN_FILENO, toByteOffset: headerBytes, as: Int32.self)
        withUnsafeMutablePointer(to: &span) { span in
          var message = msghdr()
          message.msg_iov = span
          message.msg_iovlen = 1
          message.msg_control = control.baseAddress
          message.msg_controllen = control.count
          #expect(sendmsg(socket, &message, 0) == bytes.count)
        }
      }
    }
  }
}
