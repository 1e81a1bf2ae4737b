// The system's resolver, getaddrinfo(3).
import CLibuv
import CSocket
import Glibc

extension Resolver {
  /// `getaddrinfo`: files, DNS, whatever nsswitch.conf names. Blocks.
  public static let systemLookup: Lookup = { host, port in
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &list)
    guard code == 0 else {
      return .failure(TransportError(.resolve, code: code == EAI_SYSTEM ? -errno : libuvCode(code)))
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let info = unsafe next {
      if let address = unsafe SocketAddress(tg_address_of(info)) { addresses.append(address) }
      unsafe next = info.pointee.ai_next
    }
    return .success(addresses)
  }

  /// libuv's code for one of getaddrinfo's: it has names for them, and no code means two things.
  private static func libuvCode(_ code: Int32) -> Int32 {
    switch code {
    case EAI_AGAIN: UV_EAI_AGAIN.rawValue
    case EAI_BADFLAGS: UV_EAI_BADFLAGS.rawValue
    case EAI_FAIL: UV_EAI_FAIL.rawValue
    case EAI_FAMILY: UV_EAI_FAMILY.rawValue
    case EAI_MEMORY: UV_EAI_MEMORY.rawValue
    case EAI_SERVICE: UV_EAI_SERVICE.rawValue
    case EAI_SOCKTYPE: UV_EAI_SOCKTYPE.rawValue
    default: UV_EAI_NONAME.rawValue
    }
  }
}
