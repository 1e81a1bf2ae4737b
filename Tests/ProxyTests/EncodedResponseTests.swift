// Responses that were compressed on their way: forwarded as they came, and measured by what they stand for.
import CZlib
import CZstd
import Clocks
import ContentCoding
import Foundation
import TestSupport
import Testing

@testable import Proxy

/// Compresses a stream's events, each with a flush of its own, as servers and gateways do.
private final class Encoder {
  private var stream = z_stream()
  private let zstd: OpaquePointer?

  init(_ coding: String) {
    zstd = coding == "zstd" ? ZSTD_createCCtx() : nil
    let windowBits: Int32 = coding == "gzip" ? 31 : coding == "raw" ? -15 : 15
    deflateInit2_(
      &stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
  }

  deinit {
    deflateEnd(&stream)
    ZSTD_freeCCtx(zstd)
  }

  func encode(_ bytes: [UInt8], isLast: Bool = false) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: bytes.count + 4_096)
    if let zstd {
      var from = ZSTD_inBuffer()
      var written = 0
      bytes.withUnsafeBytes { input in
        output.withUnsafeMutableBytes { output in
          from = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
          var to = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
          _ = ZSTD_compressStream2(zstd, &to, &from, isLast ? ZSTD_e_end : ZSTD_e_flush)
          written = to.pos
        }
      }
      return Array(output[..<written])
    }
    let before = Int(stream.total_out)
    var input = bytes
    input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        (stream.next_in, stream.avail_in) = (input.baseAddress, UInt32(input.count))
        (stream.next_out, stream.avail_out) = (output.baseAddress, UInt32(output.count))
        deflate(&stream, isLast ? Z_FINISH : Z_SYNC_FLUSH)
      }
    }
    return Array(output[..<(Int(stream.total_out) - before)])
  }

  static func whole(_ bytes: [UInt8], _ coding: String = "gzip") -> [UInt8] {
    Encoder(coding).encode(bytes, isLast: true)
  }
}

@Suite("Responses that are compressed")
struct EncodedResponseTests {
  private static let usage = #"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"# + "\n\n"
  private static let done = "data: [DONE]\n\n"

  /// What a client got of a stream whose pieces came one after the other, and the record.
  private func exchange(
    _ pieces: [[UInt8]], _ coding: String, type: String = "text/event-stream"
  ) throws -> (body: [UInt8], line: Line) {
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(chatRequest())
    let server = try harness.upstream.accept()
    _ = try server.read(through: "[]}")
    let length = pieces.reduce(0) { $0 + $1.count }
    try server.send(
      "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Encoding: \(coding)\r\nContent-Length: \(length)\r\n\r\n")
    let head = try client.head()
    #expect(head.contains("Content-Encoding: \(coding)"))
    var body: [UInt8] = []
    for piece in pieces where !piece.isEmpty {
      try server.send(piece)
      let end = body.count + piece.count
      while body.count < end { body += try client.receive() }
    }
    client.close()
    server.close()
    harness.server.drain()
    return (body, try #require(try harness.records().first))
  }

  private func pieces(_ coding: String) -> [[UInt8]] {
    let encoder = Encoder(coding)
    let events = (1...4).map { token("t\($0)") } + [Self.usage]
    return events.map { encoder.encode(Array($0.utf8)) } + [encoder.encode(Array(Self.done.utf8), isLast: true)]
  }

  @Test(
    "The events of a compressed stream are measured, each at the flush that brought it; bytes pass untouched",
    arguments: [("gzip", "gzip"), ("deflate", "deflate"), ("raw", "deflate"), ("zstd", "zstd")])
  func stream(coding: String, name: String) throws {
    let pieces = pieces(coding)
    let (body, line) = try exchange(pieces, name)
    #expect(body == Array(pieces.joined()))
    #expect(line["encoding"] == name && line.verdict == "ok -" && line["error"] == nil)
    #expect(line.int("events") == 4 && line.int("reads") == 4 && line.int("output_tokens") == 4)
    #expect(line.int("input_tokens") == 3 && line["tokens_from"] == "usage" && line.int("output_chars") == 8)
    #expect(line.int("response_bytes") == body.count && line.double("ttft_ms") != nil)
  }

  @Test("brotli")
  func brotli() throws {
    let text = Array((token("a") + Self.done).utf8)
    let (_, line) = try exchange([Self.storedBrotli(text)], "br")
    #expect(line["encoding"] == "br" && line.int("events") == 1 && line.verdict == "ok -")
  }

  /// A window of 16 bits, an uncompressed meta-block of fewer than 64 KiB, and an empty last one (RFC 7932 §9), as there is no
  /// encoder here.
  private static func storedBrotli(_ text: [UInt8]) -> [UInt8] {
    var bits: [Bool] = [false]  // WBITS 16
    bits.append(false)  // ISLAST
    bits += [false, false]  // MNIBBLES 4
    for bit in 0..<16 { bits.append((text.count - 1) >> bit & 1 == 1) }
    bits.append(true)  // ISUNCOMPRESSED
    while bits.count % 8 != 0 { bits.append(false) }
    var bytes = stride(from: 0, to: bits.count, by: 8).map { start in
      (0..<8).reduce(UInt8(0)) { $0 | (bits[start + $1] ? 1 << UInt8($1) : 0) }
    }
    bytes += text
    // ISLAST, ISLASTEMPTY
    return bytes + [0x03]
  }

  @Test("A whole body is read; so is one that was compressed twice")
  func whole() throws {
    let body = Array(
      #"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":7}}"#.utf8)
    let (_, once) = try exchange([Encoder.whole(body)], "gzip", type: "application/json")
    #expect(once["encoding"] == "gzip" && once.int("output_tokens") == 7 && once.bool("stream") == false)
    let (_, twice) = try exchange([Encoder.whole(Encoder.whole(body), "zstd")], "gzip, zstd", type: "application/json")
    #expect(twice["encoding"] == "gzip, zstd" && twice.int("output_tokens") == 7)
  }

  @Test("Of a coding that is not known only times are measured, and its name is not repeated")
  func unknown() throws {
    let (body, line) = try exchange([Array("secret".utf8)], "snappy")
    #expect(body == Array("secret".utf8))
    #expect(line["encoding"] == "other" && line.int("output_tokens") == nil && line.verdict == "ok -")
    #expect(line["error"] == "decoding_stopped: content-encoding other: timing only")
  }

  @Test("A damaged body is forwarded, and what stood before the damage is not taken for all of it")
  func damaged() throws {
    var pieces = pieces("gzip")
    pieces[2] = [0xff, 0xff, 0xff, 0xff, 0xff]
    let (body, line) = try exchange(pieces, "gzip")
    #expect(body == Array(pieces.joined()))
    #expect(line["error"] == "decoding_stopped: content-encoding gzip: damaged")
    #expect(line.int("output_tokens") == nil && line.int("events") == nil && line.double("ttft_ms") != nil)
  }

  @Test("A body that stands for far more than it should is forwarded, and not read on")
  func bomb() throws {
    let zeros = [UInt8](repeating: 0x20, count: 40 << 20)
    let (body, line) = try exchange([Encoder.whole(Array("data: {".utf8) + zeros)], "gzip")
    #expect(body.count < 100_000)
    #expect(line["error"] == "decoding_stopped: content-encoding gzip: it inflates to more than is read")
  }

  @Test("A body of several MiB is inflated over many turns, and its record waits for it")
  func large() throws {
    let numbers = (0..<400_000).map { "0.\($0 &* 7_919 % 1_000_000)" }.joined(separator: ",")
    let body = Array(#"{"data":[\#(numbers)],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#.utf8)
    #expect(body.count > 3 << 20)
    let (_, line) = try exchange([Encoder.whole(body)], "gzip", type: "application/json")
    #expect(line.int("output_tokens") == 5 && line["error"] == nil)
  }
}

@Suite("The turns of inflation")
struct InflationTurnsTests {
  @Test("What comes out at once is bounded, however long nothing was inflated; then bodies wait")
  func bounded() {
    let turns = DeferredDecoder().turns
    let began = Date()
    var bytes = 0
    while case let allowed = turns.allowance, allowed > 0 {
      #expect(allowed <= 64 << 10)
      turns.spend(allowed, since: .now())
      bytes += allowed
    }
    // What is earned meanwhile comes on top: 64 KiB a millisecond.
    let earned = Int((Date().timeIntervalSince(began) * 1_000).rounded(.up)) * 68_000
    #expect((256 << 10)...(256 << 10 + earned) ~= bytes)
  }

  @Test("What is dear to read counts by the time that it took, so that inflating has a tenth of it at most")
  func byTime() {
    let turns = DeferredDecoder().turns
    #expect(turns.allowance > 0)
    // One byte, in a second: what is earned in ten.
    turns.spend(1, since: Instant.now().advanced(byNanoseconds: -1_000_000_000))
    #expect(turns.allowance == 0)
  }

  @Test("The end of the proxy waits for no body that takes long to read: its record says that it was not read")
  func end() throws {
    let body = Encoder.whole(Array("{\(String(repeating: "},", count: 8 << 20))".utf8))
    let harness = try ProxyHarness()
    for _ in 0..<3 {
      let client = try harness.connect()
      try client.send(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Encoding: gzip\r\nContent-Length: \(body.count)\r\n"
          + "Connection: close\r\n\r\n")
      try client.send(body)
      let server = try harness.upstream.accept()
      _ = try server.head()
      var forwarded = 0
      while forwarded < body.count { forwarded += try server.receive().count }
      try server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
      _ = try client.readToEnd()
    }
    let errors = try harness.end().map { $0["error"] ?? "" }
    #expect(errors.count == 3)
    #expect(errors.contains { $0.hasPrefix("request_read_limit: ") }, "\(errors)")
  }

  @Test("A request's body that inflates to much is read to its end, however early it is answered")
  func request() throws {
    let names = #"{"image":"\#(String(repeating: "0123456789abcdef", count: 640 << 10))","model":"m"}"#
    let body = Encoder.whole(Array(names.utf8))
    let harness = try ProxyHarness()
    let client = try harness.connect()
    try client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n"
    )
    try client.send(body)
    let server = try harness.upstream.accept()
    _ = try server.head()
    var forwarded = 0
    while forwarded < body.count { forwarded += try server.receive().count }
    try server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    _ = try client.read(through: "{}")
    // The record waits for nobody's connection to close.
    try harness.awaitRecords(1)
    let line = try #require(try harness.end().first)
    #expect(line["model"] == "m" && line["request_read"] == "whole" && line["error"] == nil)
  }
}
