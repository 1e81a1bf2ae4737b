// How far a log had come at a moment, so that later only what stands behind has to be read.
import Glibc
import JSON

/// A place in a log file.
struct LogPlace: Equatable {
  var inode: UInt64 = 0
  var bytes = 0
  /// When it was taken, in seconds since 1970.
  var seconds = 0

  /// The end of the file at `path`; all is 0 but the time where there is none.
  init(path: String) {
    var status = stat()
    self.init(unsafe stat(path, &status) == 0 ? status : stat())
  }

  init(descriptor: Int32) {
    var status = stat()
    self.init(unsafe fstat(descriptor, &status) == 0 ? status : stat())
  }

  private init(_ status: stat) {
    (inode, bytes) = (UInt64(status.st_ino), Int(status.st_size))
    seconds = time(nil)
  }

  /// As `line` has it, with or without the newline; nil where it says nothing of the kind.
  init?(line: RawSpan) {
    let place: LogPlace?? = JSONParser(retainedBytes: 4096).parse(line) { root in
      guard var members = root.members, let inode = members.present("log_inode")?.int,
        let bytes = members.present("log_bytes")?.int, let seconds = members.present("seconds")?.int
      else { return nil }
      var place = LogPlace(stat())
      (place.inode, place.bytes, place.seconds) = (UInt64(clamping: inode), bytes, seconds)
      return place
    }
    guard let place, let place else { return nil }
    self = place
  }

  /// The first line of a file of open records.
  var line: [UInt8] {
    Array("{\"v\":0,\"log_inode\":\(inode),\"log_bytes\":\(bytes),\"seconds\":\(seconds)}\n".utf8)
  }
}
