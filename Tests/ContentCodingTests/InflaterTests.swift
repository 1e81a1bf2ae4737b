// Bodies in every coding, inflated whole and in pieces, damaged, cut, and far larger than they came.
import CBrotli
import CZlib
import CZstd
import ContentCoding
import Foundation
import TestSupport
import Testing

/// `text` repeated, as zlib or zstd compress it.
private func compressed(_ bytes: [UInt8], _ coding: String) -> [UInt8] {
  switch coding {
  case "zstd":
    var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    let count = ZSTD_compress(&output, output.count, bytes, bytes.count, 3)
    return Array(output[..<count])
  default:
    var stream = z_stream()
    let windowBits: Int32 = coding == "gzip" ? 31 : coding == "raw" ? -15 : 15
    deflateInit2_(
      &stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    var output = [UInt8](repeating: 0, count: bytes.count + 1024)
    var input = bytes
    input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        (stream.next_in, stream.avail_in) = (input.baseAddress, UInt32(input.count))
        (stream.next_out, stream.avail_out) = (output.baseAddress, UInt32(output.count))
        deflate(&stream, Z_FINISH)
      }
    }
    deflateEnd(&stream)
    return Array(output[..<Int(stream.total_out)])
  }
}

/// `{"model":"m"}` by `brotli -c`, as there is no encoder here.
private let brotliSample: [UInt8] = [0x0f, 0x06, 0x80] + Array(#"{"model":"m"}"#.utf8) + [0x03]

private func inflated(
  _ pieces: [ArraySlice<UInt8>], _ coding: ContentCoding, atMost limit: Int = .max
) throws -> (bytes: [UInt8], hasEnded: Bool) {
  let inflater = try #require(Inflater(coding))
  var output: [UInt8] = []
  for piece in pieces {
    var rest = Array(piece)
    repeat {
      let consumed = try inflater.inflate(rest.span.bytes, atMost: limit) { part in
        part.withUnsafeBytes { output.append(contentsOf: $0) }
      }
      rest = Array(rest[consumed...])
    } while inflater.isPaused || !rest.isEmpty
  }
  return (output, inflater.hasEnded)
}

@Suite("An inflater")
struct InflaterTests {
  private static let text = Array(
    (0..<4_000).map { #"{"model":"m","n":\#($0 * 7919 % 1000)},"# }.joined().utf8)

  static let codings: [(String, ContentCoding)] = [
    ("gzip", .gzip), ("zlib", .deflate), ("raw", .deflate), ("zstd", .zstd),
  ]

  @Test("Gives back what was compressed, whole, in pieces and so much at a time", arguments: codings)
  func roundTrip(_ how: String, _ coding: ContentCoding) throws {
    let bytes = compressed(Self.text, how)
    var random = SeededRandom(seed: 3)
    for limit in [1, 40_000, Int.max] {
      #expect(try inflated([bytes[...]], coding, atMost: limit) == (Self.text, true))
      #expect(try inflated(random.cut(bytes), coding, atMost: limit) == (Self.text, true))
    }
    #expect(try inflated(bytes.indices.map { bytes[$0...$0] }, coding) == (Self.text, true))
  }

  @Test("Reads brotli")
  func brotli() throws {
    #expect(
      try inflated(brotliSample.indices.map { brotliSample[$0...$0] }, .brotli) == (Array(#"{"model":"m"}"#.utf8), true)
    )
  }

  @Test("What was cut has not ended, and gives what came", arguments: codings)
  func cut(_ how: String, _ coding: ContentCoding) throws {
    let bytes = compressed(Self.text, how)
    let found = try inflated([bytes[..<(bytes.count / 2)]], coding)
    #expect(!found.hasEnded && Self.text.starts(with: found.bytes))
  }

  @Test("What is no such coding is damaged", arguments: [ContentCoding.gzip, .deflate, .brotli, .zstd])
  func damaged(_ coding: ContentCoding) {
    let bytes = Array(#"{"model":"m","messages":[]}"#.utf8)
    #expect(throws: InflateError.self) { try inflated([bytes[...]], coding) }
  }

  @Test(
    "Several members of gzip and several frames of zstd are one body",
    arguments: [("gzip", ContentCoding.gzip), ("zstd", .zstd)])
  func members(_ how: String, _ coding: ContentCoding) throws {
    let bytes = compressed(Array("one".utf8), how) + compressed(Array("two".utf8), how)
    #expect(try inflated([bytes[...]], coding) == (Array("onetwo".utf8), true))
  }

  @Test("A few bytes that stand for megabytes come out in the portions that are asked for")
  func bomb() throws {
    let bytes = compressed([UInt8](repeating: 0, count: 64 << 20), "gzip")
    let inflater = try #require(Inflater(.gzip))
    var produced = 0
    let consumed = try inflater.inflate(bytes.span.bytes, atMost: 100_000) { produced += $0.byteCount }
    #expect(100_000..<120_000 ~= produced)
    #expect(inflater.isPaused && consumed < bytes.count)
  }
}

@Suite("Content codings")
struct ContentCodingTests {
  @Test(
    "A field's value names one that is known, none, or one that is not",
    arguments: [
      ([], ContentCoding.Announced.identity), ([""], .identity), (["identity"], .identity), (["gzip"], .coded(.gzip)),
      ([" GZIP "], .coded(.gzip)), (["x-gzip"], .coded(.gzip)), (["br"], .coded(.brotli)),
      (["identity, zstd"], .coded(.zstd)),
      (["deflate"], .coded(.deflate)), (["gzip, br"], .codedTwice([.gzip, .brotli])),
      (["gzip", "gzip"], .codedTwice([.gzip, .gzip])), (["gzip, br, gzip"], .unknown), (["x, gzip"], .unknown),
      (["compress"], .unknown),
      ([", ,identity,\tdeflate ,", " "], .coded(.deflate)),
      (["identity", "br"], .coded(.brotli)), (["g zip"], .unknown),
      ([",,,"], .identity), (["gzip,identity"], .coded(.gzip)), (["compress,gzip"], .unknown),
    ] as [([String], ContentCoding.Announced)])
  func names(_ values: [String], _ announced: ContentCoding.Announced) {
    #expect(ContentCoding.Announced(values) == announced)
  }
}

@Suite("An inflater of two codings")
struct LayeredInflaterTests {
  @Test("What was coded twice comes out whole, however little is allowed at a time", arguments: [1, 1_000, Int.max])
  func twice(limit: Int) throws {
    let text = Array((0..<20_000).map { "\($0 * 7919 % 1000)," }.joined().utf8)
    let coded = compressed(compressed(text, "gzip"), "zstd")
    let inflater = try #require(LayeredInflater([.gzip, .zstd]))
    var output: [UInt8] = []
    for start in stride(from: 0, to: coded.count, by: 300) {
      var rest = Array(coded[start..<min(start + 300, coded.count)])
      repeat {
        let before = output.count
        let consumed = try inflater.inflate(rest.span.bytes, atMost: limit) { part in
          part.withUnsafeBytes { output.append(contentsOf: $0) }
        }
        if limit < .max { #expect(output.count - before < limit + 16 * 1_024 + 1) }
        rest = Array(rest[consumed...])
      } while inflater.isPaused || !rest.isEmpty
    }
    #expect(output == text)
  }

  @Test("There are one or two codings, and it knows its memory")
  func makes() throws {
    #expect(LayeredInflater([]) == nil && LayeredInflater([.gzip, .gzip, .gzip]) == nil)
    for coding in ContentCoding.allCases {
      let inflater = try #require(LayeredInflater([coding]))
      #expect((16 << 10)...(1 << 20) ~= inflater.memory)
    }
  }

  @Test("A window that brotli asks for is counted")
  func brotliMemory() throws {
    let inflater = try #require(LayeredInflater([.brotli]))
    let before = inflater.memory
    // A window of 24 bits; 200,000 equal bytes.
    let sample: [UInt8] = [0x0f, 0x3f, 0x0d, 0x03, 0x00, 0x24, 0xe2, 0x0a, 0x08, 0x1d, 0x00]
    _ = try? inflater.inflate(sample.span.bytes, atMost: .max) { _ in }
    #expect(inflater.memory >= before)
  }
}
