// What the kernel knows of this process: the `process_*` metrics that every exporter has, read from /proc at each call.
import Glibc

/// This process as /proc shows it (proc(5)).
public enum ProcessFacts {
  /// Adds the conventional `process_*` families; what /proc does not have is left out.
  public static func collect(into page: inout Exposition) {
    // The fields after the name, which is in parentheses and can contain anything: the first is the third field of proc(5).
    let fields = read("/proc/self/stat").flatMap { text in
      text.lastIndex(of: ")").map { text[text.index(after: $0)...].split(separator: " ") }
    }
    let ticks = Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
    if let fields, fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
      let started = Double(fields[19]), let virtual = Int(fields[20]), let pages = Int(fields[21])
    {
      page.family("process_cpu_seconds_total", .counter, "User and system CPU time, in seconds.")
      page.sample((user + system) / ticks)
      if let boot = bootTime {
        page.family("process_start_time_seconds", .gauge, "When the process started, in seconds since 1970.")
        page.sample(boot + started / ticks)
      }
      page.family("process_virtual_memory_bytes", .gauge, "Virtual memory, in bytes.")
      page.sample(virtual)
      page.family("process_resident_memory_bytes", .gauge, "Resident memory, in bytes.")
      page.sample(pages * sysconf(Int32(_SC_PAGESIZE)))
    }
    if let open = openDescriptors {
      page.family("process_open_fds", .gauge, "Open file descriptors.")
      page.sample(open)
    }
    var limit = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      page.family("process_max_fds", .gauge, "File descriptors that may be open: beyond them nobody can be served.")
      page.sample(limit.rlim_cur)
    }
  }

  private static var bootTime: Double? {
    guard let line = read("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }) else {
      return nil
    }
    return Double(line.dropFirst("btime ".count))
  }

  private static var openDescriptors: Int? {
    guard let directory = unsafe opendir("/proc/self/fd") else { return nil }
    defer { unsafe closedir(directory) }
    // `.`, `..` and the directory's own descriptor are not counted.
    var entries = -3
    while unsafe readdir(directory) != nil { entries += 1 }
    return max(entries, 0)
  }

  private static func read(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let count = unsafe block.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
      bytes.append(contentsOf: block.prefix(count))
    }
  }
}
