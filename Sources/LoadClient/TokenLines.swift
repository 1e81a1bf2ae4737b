// Counts the lines of a stream that contain a token, by one fixed mark in them.
// It decodes no JSON, so that it stays cheap: a server that writes `"content": "` with a space seems to send no tokens.
import Glibc

/// The lines of one streamed body, given in any pieces.
struct TokenLines {
  /// Lines that contain a token.
  private(set) var tokens = 0
  /// Whether the stream contained its terminator.
  private(set) var sawEnd = false
  /// Whether the stream contained an error.
  private(set) var sawError = false

  private let mark: [UInt8]
  /// Where the mark was in the last token's line: nearly always where it is in the next one.
  private var lastOffset = 0
  /// The part of a line whose end has not come; of a very long one only as much as decides what it is.
  private var carry: [UInt8] = []
  private static let carryLimit = 4096

  /// For the dialect of `path`.
  init(path: String) {
    mark =
      switch path {
      case "/v1/completions": Array("\"text\":\"".utf8)
      case "/api/generate": Array("\"response\":\"".utf8)
      // Without its first quote, so that reasoning_content is found as well.
      default: Array("content\":\"".utf8)
      }
  }

  /// Prepares for the next body.
  mutating func reset() {
    tokens = 0
    sawEnd = false
    sawError = false
    carry.removeAll(keepingCapacity: true)
  }

  /// Reads the next piece.
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    while index < bytes.count, let start = bytes.baseAddress {
      guard let found = unsafe memchr(start + index, 0x0A, bytes.count - index) else {
        let piece = unsafe bytes[index...].prefix(Self.carryLimit - min(carry.count, Self.carryLimit))
        unsafe carry.append(contentsOf: piece)
        return
      }
      let end = unsafe UnsafeRawPointer(found) - start
      if carry.isEmpty {
        unsafe count(UnsafeRawBufferPointer(rebasing: bytes[index..<end]))
      } else {
        let piece = unsafe bytes[index..<end].prefix(Self.carryLimit - min(carry.count, Self.carryLimit))
        unsafe carry.append(contentsOf: piece)
        let line = carry
        carry.removeAll(keepingCapacity: true)
        unsafe line.withUnsafeBytes { unsafe count($0) }
      }
      index = end + 1
    }
  }

  private mutating func count(_ line: UnsafeRawBufferPointer) {
    guard line.count > 8 else { return }
    if unsafe isToken(line, at: lastOffset) {
      tokens += 1
      return
    }
    if let offset = unsafe mark.withUnsafeBytes({ unsafe Self.find($0, in: line) }), unsafe isToken(line, at: offset) {
      lastOffset = offset
      tokens += 1
    } else if unsafe Self.find("[DONE]", in: line) == 6 || Self.find("\"done\":true", in: line) != nil {
      sawEnd = true
    } else if unsafe Self.find("{\"error\":", in: line) != nil {
      sawError = true
    }
  }

  /// Whether the mark is at `offset` and text follows it.
  private func isToken(_ line: UnsafeRawBufferPointer, at offset: Int) -> Bool {
    guard offset + mark.count < line.count, let start = line.baseAddress else { return false }
    return unsafe mark.withUnsafeBytes { mark in
      guard let wanted = mark.baseAddress else { return false }
      return unsafe memcmp(start + offset, wanted, mark.count) == 0 && line[offset + mark.count] != 0x22
    }
  }

  private static func find(_ needle: StaticString, in line: UnsafeRawBufferPointer) -> Int? {
    unsafe find(UnsafeRawBufferPointer(start: needle.utf8Start, count: needle.utf8CodeUnitCount), in: line)
  }

  private static func find(_ needle: UnsafeRawBufferPointer, in line: UnsafeRawBufferPointer) -> Int? {
    guard let start = line.baseAddress, let wanted = needle.baseAddress, let first = unsafe needle.first else {
      return nil
    }
    var index = 0
    while index + needle.count <= line.count,
      let found = unsafe memchr(start + index, Int32(first), line.count - needle.count + 1 - index)
    {
      if unsafe memcmp(found, wanted, needle.count) == 0 { return unsafe UnsafeRawPointer(found) - start }
      index = unsafe UnsafeRawPointer(found) - start + 1
    }
    return nil
  }
}
