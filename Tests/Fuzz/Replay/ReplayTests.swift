// The fuzzers' seeds and past failures, run once more by every `swift test`.
import FuzzTargets
import Glibc
import Testing

@Suite("Corpus")
struct ReplayTests {
  @Test("Every seed and past failure holds", arguments: FuzzTarget.allCases)
  func replay(target: FuzzTarget) throws {
    let folder = #filePath.split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" } + "/corpus/\(target.rawValue)"
    let names = try files(in: folder)
    #expect(!names.isEmpty, "no corpus in \(folder)")
    let run = FuzzRun(isThorough: true)
    for name in names {
      let finding = target.finding(try contents(of: "\(folder)/\(name)"), run)
      #expect(finding == nil, "\(target.rawValue)/\(name)")
    }
  }

  private func files(in folder: String) throws -> [String] {
    let stream = try #require(opendir(folder), "no folder \(folder)")
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  private func contents(of path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(descriptor, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
  }
}
