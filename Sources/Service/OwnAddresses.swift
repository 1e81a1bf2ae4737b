// Whether the upstream is this very proxy, by whatever name: its requests would come back to it for ever.
import Glibc
import SettingValues
import Transport

/// The addresses at which this proxy is reached.
struct OwnAddresses: Sendable {
  /// Each with what listens there, as a message calls it.
  private var listeners: [(address: SocketAddress, what: String)] = []

  /// The addresses that settings name, and the sockets that were handed down; what the system is to choose is left out.
  init(_ settings: Settings, inherited: [ListeningSocket] = []) {
    if inherited.isEmpty { add(settings.listen, "the proxy itself") }
    for socket in inherited { add(socket.address, "the proxy itself") }
    if let admin = settings.admin.listen { add(admin, "the proxy's own admin listener") }
  }

  /// The addresses in force, with the ports that the system has chosen.
  /// - Parameter admin: `ADDRESS:PORT`.
  init(proxy: [SocketAddress], admin: String?) {
    for address in proxy { add(address, "the proxy itself") }
    guard let admin, let colon = admin.lastIndex(of: ":"), let port = UInt16(admin[admin.index(after: colon)...]) else {
      return
    }
    let host = admin[..<colon].filter { !"[]".contains($0) }
    add(ListenAddress(host: host, port: port), "the proxy's own admin listener")
  }

  private mutating func add(_ listen: ListenAddress, _ what: String) {
    if let address = SocketAddress(literal: listen.host, port: listen.port) { add(address, what) }
  }

  private mutating func add(_ address: SocketAddress, _ what: String) {
    if address.port > 0 { listeners.append((address, what)) }
  }

  /// Refuses settings whose upstream is one of these. The system is asked what the name stands for only where the ports are the
  /// same, which is seldom so.
  /// - Throws: `ServiceFailure` with exit code 2.
  func refuse(_ settings: Settings) throws(ServiceFailure) {
    let candidates = listeners.filter { $0.address.port == settings.upstream.port }
    guard !candidates.isEmpty else { return }
    let named = Self.addresses(of: settings.upstream.host)
    for (address, what) in candidates where named.contains(where: { Self.reaches($0, address.host) }) {
      let origin = settings.origin(of: "upstream")
      throw ServiceFailure(
        settings: "\(origin): upstream \(settings.upstream) is \(what), which listens on \(address); "
          + "name the LLM server, or listen on another port")
    }
  }

  /// Whether a connection to `address` arrives at a listener on `host`.
  private static func reaches(_ address: [UInt8], _ host: String) -> Bool {
    guard let listening = bytes(ofAddress: host) else { return false }
    // To connect to every address is to connect to the loopback address.
    let address = isZero(address) ? loopback(address.count) : address
    guard isZero(listening) else { return address == listening }
    // A socket on every IPv6 address accepts IPv4 clients, too.
    guard address.count <= listening.count else { return false }
    let isLoopback = address.count == 4 ? address[0] == 127 : address == loopback(16)
    return isLoopback || interfaces().contains(address)
  }

  private static func isZero(_ address: [UInt8]) -> Bool { address.allSatisfy { $0 == 0 } }

  private static func loopback(_ count: Int) -> [UInt8] {
    count == 4 ? [127, 0, 0, 1] : [UInt8](repeating: 0, count: 15) + [1]
  }

  /// The addresses that a name or a literal stands for, 4 or 16 bytes each.
  private static func addresses(of host: String) -> [[UInt8]] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
    defer { unsafe freeaddrinfo(list) }
    var found: [[UInt8]] = []
    var next = unsafe list
    while let entry = unsafe next {
      if let bytes = unsafe numbers(of: entry.pointee.ai_addr) { found.append(bytes) }
      unsafe next = entry.pointee.ai_next
    }
    return found
  }

  /// The addresses of this machine's interfaces.
  private static func interfaces() -> [[UInt8]] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard unsafe getifaddrs(&list) == 0 else { return [] }
    defer { unsafe freeifaddrs(list) }
    var found: [[UInt8]] = []
    var next = unsafe list
    while let entry = unsafe next {
      if let bytes = unsafe numbers(of: entry.pointee.ifa_addr) { found.append(bytes) }
      unsafe next = entry.pointee.ifa_next
    }
    return found
  }

  private static func numbers(of address: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
    guard let address = unsafe address else { return nil }
    let size: Int
    switch unsafe Int32(address.pointee.sa_family) {
    case AF_INET: size = MemoryLayout<sockaddr_in>.size
    case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
    default: return nil
    }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard
      unsafe getnameinfo(address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
    else { return nil }
    let host = text.prefix { $0 != 0 && $0 != CChar(bitPattern: UInt8(ascii: "%")) }
    return bytes(ofAddress: String(decoding: host.map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }
}
