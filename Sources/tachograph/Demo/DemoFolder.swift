// The demo's temporary folder, which is removed at its end.
import Glibc

/// A folder in the system's temporary folder. It has files only, no folders.
struct DemoFolder {
  let path: String

  /// Makes the folder, readable by this user only; nil where that fails.
  init?() {
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/tachograph-demo-XXXXXX".utf8CString)
    guard
      let made = unsafe template.withUnsafeMutableBufferPointer({ buffer in
        guard let start = buffer.baseAddress, let name = unsafe mkdtemp(start) else { return String?.none }
        return unsafe String(cString: name)
      })
    else { return nil }
    path = made
  }

  /// The path of a file in it.
  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// The first 64 KiB of a file.
  func text(_ name: String) -> String {
    guard let file = unsafe fopen(file(name), "r") else { return "" }
    defer { unsafe fclose(file) }
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 64 * 1024) { buffer, count in
      count = unsafe fread(buffer.baseAddress, 1, buffer.count, file)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Removes the folder with all its files.
  func remove() {
    if let folder = unsafe opendir(path) {
      while let entry = unsafe readdir(folder) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          unsafe String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
        }
        if name != ".", name != ".." { unsafe unlink(file(name)) }
      }
      unsafe closedir(folder)
    }
    unsafe rmdir(path)
  }
}
