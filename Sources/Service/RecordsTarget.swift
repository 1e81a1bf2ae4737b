// What the place of the records is: a regular file, or something that keeps nothing.
import Glibc
import SettingValues

extension Settings.RecordsTarget {
  /// The path as the log takes it: `-` is standard output.
  var path: String {
    switch self {
    case .file(let path): path
    case .standardOutput: "-"
    }
  }

  /// Whether records go to a regular file, or one that is still to be made: then its folder can have files beside it.
  ///
  /// A name in `/dev` or `/proc` stands for a descriptor of the process or for a device, also where a file is behind it.
  var isRegularFile: Bool {
    guard case .file(let path) = self, !path.hasPrefix("/dev/"), !path.hasPrefix("/proc/") else { return false }
    var status = stat()
    return unsafe stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
  }

  /// - Throws: `ServiceFailure` where the log's folder is not there. It is not made: its name is probably wrong, or a disk is not
  ///   mounted.
  func checkFolder() throws(ServiceFailure) {
    guard case .file(let path) = self, let slash = path.lastIndex(of: "/") else { return }
    let folder = slash == path.startIndex ? "/" : String(path[..<slash])
    var status = stat()
    guard unsafe stat(folder, &status) == 0 else {
      let reason =
        errno == ENOENT ? "is not there; make it" : "cannot be used: \(unsafe String(cString: strerror(errno)))"
      throw ServiceFailure("the folder \(folder) of the record log \(path) \(reason)")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw ServiceFailure("the record log \(path) cannot be made: \(folder) is not a folder")
    }
  }
}
