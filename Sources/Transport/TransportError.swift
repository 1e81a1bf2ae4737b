// What failed on a socket or in a loop, and why.
// It must not carry bytes of the traffic: it is written to logs.
import CLibuv

/// An error of the transport: which operation failed, and libuv's (or the system's, negated) code.
public struct TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was being done.
  public enum Operation: String, Sendable {
    case loop
    case listen
    case accept
    case resolve
    case connect
    case read
    case write
    case address
  }

  /// What was being done.
  public var operation: Operation
  /// A negated errno, or a UV_EAI_* code of the resolver.
  public var code: Int32

  /// Makes an error from a negative result.
  public init(_ operation: Operation, code: Int32) {
    self.operation = operation
    self.code = code
  }

  /// The code's name, such as `ECONNREFUSED`.
  public var name: String {
    unsafe String(cString: uv_err_name(code))
  }

  /// One line: operation, reason, name.
  public var description: String {
    "\(operation.rawValue): \(unsafe String(cString: uv_strerror(code))) (\(name))"
  }

  /// Whether the peer is gone (reset, broken pipe, aborted), as opposed to something failing on this side.
  public var isPeerReset: Bool {
    [UV_ECONNRESET.rawValue, UV_EPIPE.rawValue, UV_ECONNABORTED.rawValue, UV_ETIMEDOUT.rawValue].contains(code)
  }

  /// Whether the peer gave no sign of life for too long, or nothing leads to it any more: it did not end the connection.
  public var isPeerVanished: Bool {
    (operation == .read || operation == .write)
      && [UV_ETIMEDOUT.rawValue, UV_EHOSTUNREACH.rawValue, UV_ENETUNREACH.rawValue, UV_EHOSTDOWN.rawValue].contains(
        code)
  }

  /// Whether the process or the system has no file descriptor left.
  public var isOutOfDescriptors: Bool {
    code == UV_EMFILE.rawValue || code == UV_ENFILE.rawValue
  }
}
