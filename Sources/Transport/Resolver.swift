// Names to addresses, off the loop's thread, remembered for a short while.
// It must not connect anywhere.
import CLibuv
import CSocket
import Clocks

/// Resolves one host and port again and again, for a pool that keeps connecting to it.
///
/// Confined to its loop's thread. Literal addresses are answered without asking anybody.
@safe
public final class Resolver {
  /// How long an answer is used before the system is asked again.
  private let freshNanoseconds: Int64
  private let loop: EventLoop
  private let host: String
  private let port: UInt16
  private var known: (addresses: [SocketAddress], at: Instant)?
  private var waiting: [(Result<[SocketAddress], TransportError>) -> Void] = []

  /// Makes a resolver of `host` (a name, or a literal without brackets).
  public init(loop: EventLoop, host: String, port: UInt16, freshSeconds: Double = 5) {
    self.loop = loop
    self.host = host
    self.port = port
    self.freshNanoseconds = Int64(freshSeconds * 1e9)
    if let literal = SocketAddress(literal: host, port: port) {
      known = ([literal], Instant(nanoseconds: .max))
    }
  }

  /// Gives the addresses, in the order in which they should be tried: at once where they are known, later otherwise.
  public func resolve(_ body: @escaping (Result<[SocketAddress], TransportError>) -> Void) {
    if let known, known.at.nanoseconds == .max || Instant.now().nanoseconds(since: known.at) < freshNanoseconds {
      return body(.success(known.addresses))
    }
    waiting.append(body)
    if waiting.count == 1 { ask() }
  }

  private func ask() {
    let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    let result = unsafe uv_getaddrinfo(loop.handle, request, resolved, host, String(port), &hints)
    if result != 0 {
      unsafe Unmanaged.passUnretained(self).release()
      unsafe request.deallocate()
      answer(.failure(TransportError(.resolve, code: result)))
    }
  }

  fileprivate func answer(_ result: Result<[SocketAddress], TransportError>) {
    if case .success(let addresses) = result { known = (addresses, .now()) }
    let bodies = waiting
    waiting = []
    for body in bodies { body(result) }
  }
}

private func resolved(
  _ request: UnsafeMutablePointer<uv_getaddrinfo_t>?, _ status: Int32, _ answer: UnsafeMutablePointer<addrinfo>?
) {
  guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
  let resolver = unsafe Unmanaged<Resolver>.fromOpaque(data).takeRetainedValue()
  unsafe request.deallocate()
  defer { unsafe uv_freeaddrinfo(answer) }
  guard status == 0 else { return resolver.answer(.failure(TransportError(.resolve, code: status))) }
  var addresses: [SocketAddress] = []
  var next = unsafe answer
  while let info = unsafe next {
    unsafe addresses.append(SocketAddress(tg_address_of(info)))
    unsafe next = info.pointee.ai_next
  }
  resolver.answer(.success(addresses))
}
