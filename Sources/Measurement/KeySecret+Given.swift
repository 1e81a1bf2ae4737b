// A secret that somebody else has made: a file (of Kubernetes, systemd, Docker) or a variable.
import Glibc

extension KeySecret {
  /// The environment variable that may have the secret itself.
  public static let environmentName = "TACHOGRAPH_IDENTITY_SECRET"
  /// The least bytes of such a secret, and the most.
  private static let sizes = 16...4096

  /// Takes the operator's secret: any bytes, of which line ends at their end do not count. The 64 digits of a file that this
  /// program has made mean what they mean there, so that such a file can be copied.
  /// - Parameter origin: where it was given, for a message.
  /// - Throws: `KeySecretError` where it is shorter than 16 bytes or longer than 4,096.
  public init(given bytes: [UInt8], in origin: String) throws(KeySecretError) {
    let end = bytes.lastIndex { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    let text = end.map { bytes[...$0] } ?? []
    guard Self.sizes.contains(text.count) else {
      throw KeySecretError(
        description: "the secret in \(origin) is too \(text.count < Self.sizes.lowerBound ? "short" : "long"): "
          + "give it \(Self.sizes.lowerBound) to \(Self.sizes.upperBound) bytes, such as the output of openssl rand -hex 32"
      )
    }
    self.init(bytes: (text.count == Self.byteCount * 2 ? Hex.decode(text) : nil) ?? Array(text))
  }

  /// Loads such a secret from a file.
  public static func load(given path: String) throws(KeySecretError) -> KeySecret {
    try KeySecret(given: contents(of: path), in: path)
  }

  /// A file's bytes, of a longer one as many as are too many.
  /// - Parameter isSecret: whether nobody else may read it.
  static func contents(of path: String, isSecret: Bool = true) throws(KeySecretError) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw KeySecretError(description: "cannot read the key secret \(path): \(message())") }
    defer { close(file) }
    if isSecret { try checkAccess(file, path) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: sizes.upperBound + 3)
    while bytes.count < block.count {
      let count = unsafe block.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
      guard count >= 0 else { throw KeySecretError(description: "cannot read the key secret \(path): \(message())") }
      if count == 0 { break }
      bytes += block.prefix(count)
    }
    return bytes
  }

  /// Nobody but its owner may read or write the file. Its group may read it where the file is root's, or the group is one of
  /// the process: so Kubernetes mounts secrets.
  static func checkAccess(_ file: Int32, _ path: String) throws(KeySecretError) {
    var status = stat()
    guard unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw KeySecretError(description: "the key secret \(path) is not a regular file")
    }
    let forOthers = status.st_mode & 0o077
    // Who may change it could put in a secret that he knows: a file for the group is read-only.
    let isForGroup =
      forOthers == 0o040 && status.st_mode & 0o200 == 0 && (status.st_uid == 0 || belongsToProcess(status.st_gid))
    guard forOthers == 0 || isForGroup else {
      throw KeySecretError(
        description: "the key secret \(path) is open to others: run chmod 600 \(path), or mount it with mode 0440")
    }
  }

  private static func belongsToProcess(_ group: gid_t) -> Bool {
    let count = getgroups(0, nil)
    var groups = [gid_t](repeating: 0, count: Int(max(count, 0)))
    guard unsafe getgroups(Int32(groups.count), &groups) >= 0 else { return group == getegid() }
    return group == getegid() || groups.contains(group)
  }
}
