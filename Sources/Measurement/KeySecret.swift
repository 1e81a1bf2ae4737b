// The secret under which API keys become fingerprints: given by the operator, or made on first start and kept beside the
// records, mode 0600.
// It must not be printed, logged or sent anywhere; no error quotes it.
import Crypto
import Glibc

/// Why the secret could not be had.
public struct KeySecretError: Error, CustomStringConvertible, Equatable {
  /// One line for the operator: what, which file, and what to do.
  public let description: String
  /// Whether there is none and none can be kept here: the folder may not be written, or its disk is full.
  public var cannotBeKept = false
}

/// The HMAC key for fingerprints of API keys (Documentation.docc/Record.md, "What is never in a record").
/// Losing it only means that fingerprints change.
public struct KeySecret: Sendable {
  static let byteCount = 32
  /// The name of the file, in the records' folder.
  public static let fileName = "tachograph.secret"

  let key: SymmetricKey

  init(bytes: some Collection<UInt8>) { key = SymmetricKey(data: Array(bytes)) }

  /// A secret for this process alone: its fingerprints differ from those of every other.
  public static func temporary() -> KeySecret {
    var random = SystemRandomNumberGenerator()
    return KeySecret(bytes: (0..<byteCount).map { _ in random.next() as UInt8 })
  }

  /// The secret's path for records at `recordsPath`: the same folder, so that proxies that log side by side agree on who
  /// is who.
  public static func path(beside recordsPath: String) -> String {
    guard let slash = recordsPath.lastIndex(of: "/") else { return fileName }
    return recordsPath[...slash] + fileName
  }

  /// Loads the secret beside the records at `recordsPath`, making it where there is none.
  public static func load(beside recordsPath: String) throws(KeySecretError) -> KeySecret {
    try load(path: path(beside: recordsPath))
  }

  /// Loads the secret at `path`, making it where there is none. Of several processes that start at once one makes it and
  /// all get the same.
  public static func load(path: String) throws(KeySecretError) -> KeySecret {
    if let secret = try read(path) { return secret }
    try create(path)
    guard let secret = try read(path) else { throw KeySecretError(description: "\(path): vanished while it was made") }
    return secret
  }

  /// Reads the file; nil where there is none.
  private static func read(_ path: String) throws(KeySecretError) -> KeySecret? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw KeySecretError(description: "cannot read the key secret \(path): \(message())")
    }
    defer { close(file) }
    try checkAccess(file, path)
    var text = [UInt8](repeating: 0, count: byteCount * 2 + 2)
    let length = unsafe text.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
    guard length >= byteCount * 2, let bytes = Hex.decode(text[..<(byteCount * 2)]),
      text[(byteCount * 2)..<length].allSatisfy({ $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") })
    else {
      throw KeySecretError(
        description: "the key secret \(path) is damaged: move it away and a new one is made (fingerprints will change)")
    }
    return KeySecret(bytes: bytes)
  }

  /// Writes a fresh secret under another name and links it into place: nobody ever sees half of it.
  private static func create(_ path: String) throws(KeySecretError) {
    var random = SystemRandomNumberGenerator()
    let temporary = "\(path).\(getpid()).\(random.next() as UInt32).tmp"
    let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      let what = "cannot make the key secret, which is kept beside the records"
      throw KeySecretError(description: "\(what): \(path): \(message())", cannotBeKept: true)
    }
    defer { unsafe unlink(temporary) }
    let text = Hex.encode((0..<byteCount).map { _ in random.next() as UInt8 }) + "\n"
    let count = text.utf8.count
    let written = unsafe write(file, text, count)
    // Its own mode, whatever the umask: a mask that took our own bits would lock us out on the next start.
    let sound = written == count && fchmod(file, 0o600) == 0 && fsync(file) == 0
    let reason = message()
    close(file)
    guard sound else {
      throw KeySecretError(description: "cannot make the key secret \(path): \(reason)", cannotBeKept: true)
    }
    guard unsafe link(temporary, path) == 0 || errno == EEXIST else {
      throw KeySecretError(description: "cannot make the key secret \(path): \(message())", cannotBeKept: true)
    }
  }

  static func message() -> String { unsafe String(cString: strerror(errno)) }
}

/// Lower-case hexadecimal.
enum Hex {
  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes that `text` spells; nil where it is not an even number of lower-case digits.
  static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text {
      guard let digit = digit(character) else { return nil }
      if let upper = high {
        bytes.append(upper << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    return bytes
  }

  /// The value of a lower-case digit.
  static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
