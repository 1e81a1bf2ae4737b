// A folder for the files of one test.
import Foundation
import Glibc

/// A folder of its own under the system's temporary folder.
///
/// It goes away with the object at the latest. An object can go away after its last use, so a test that only uses paths
/// calls `remove()` in a `defer`.
public final class TemporaryFolder {
  /// The folder's path, without a slash at its end.
  public let path: String

  /// Makes the folder.
  public init() throws {
    path = NSTemporaryDirectory() + "tachograph-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { remove() }

  /// Removes the folder and all that is in it; a second call does nothing.
  public func remove() { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in it, whether or not it is there.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Appends to a file, and makes it where it is not there.
  public func append(_ text: String, to name: String = "log") throws {
    let descriptor = open(file(name), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: file(name)])
    }
  }

  /// Writes a file.
  /// - Returns: its path.
  public func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  /// What a file holds.
  public func text(of name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }
}
