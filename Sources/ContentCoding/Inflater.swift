// Inflates one body piece by piece, and never more at a time than is allowed.
import CBrotli
import CZlib
import CZstd
import Glibc

/// A body cannot be inflated further.
public enum InflateError: Error, Sendable {
  /// It is not what its coding promises.
  case damaged
  /// There is no memory for it, or it asks for a larger window than is allowed.
  case tooLarge
}

/// The inflation of one body. Not `Sendable`.
@safe
public final class Inflater {
  @safe
  private enum Backend {
    /// deflate, of which the two bytes that tell its wrapping have not come.
    case undecided
    case zlib(UnsafeMutablePointer<z_stream>)
    case brotli(OpaquePointer, BrotliMemory)
    case zstd(OpaquePointer)
  }

  private enum Progress { case goesOn, ended }

  /// zstd's largest window, as a power of two: 8 MiB, which RFC 9659 bids every receiver to accept and no sender to exceed.
  private static let zstdWindowLog: Int32 = 23
  private static let outputCapacity = 16 * 1024

  private let coding: ContentCoding
  private var backend: Backend
  private let output: UnsafeMutableRawBufferPointer
  /// The first byte, while the second has not come.
  private var held: UInt8?
  /// Whether the last call stopped at its limit: then there may be more, even without further bytes.
  public private(set) var isPaused = false
  /// Whether all of the body that has come is inflated, up to an end that the coding marks.
  public private(set) var hasEnded = false

  /// Nil where there is no memory for it.
  public init?(_ coding: ContentCoding) {
    self.coding = coding
    switch coding {
    case .gzip:
      guard let stream = unsafe Self.zlib(windowBits: 31) else { return nil }
      unsafe backend = .zlib(stream)
    case .deflate:
      backend = .undecided
    case .brotli:
      let memory = BrotliMemory()
      guard let state = unsafe memory.makeDecoder() else { return nil }
      unsafe backend = .brotli(state, memory)
    case .zstd:
      guard let stream = unsafe ZSTD_createDStream() else { return nil }
      _ = unsafe tg_zstd_limit_window(stream, Self.zstdWindowLog)
      unsafe backend = .zstd(stream)
    }
    unsafe output = .allocate(byteCount: Self.outputCapacity, alignment: 16)
  }

  deinit {
    switch backend {
    case .undecided: break
    case .zlib(let stream):
      unsafe inflateEnd(stream)
      unsafe stream.deallocate()
    case .brotli(let state, _): unsafe BrotliDecoderDestroyInstance(state)
    case .zstd(let stream): unsafe ZSTD_freeDStream(stream)
    }
    unsafe output.deallocate()
  }

  /// Bytes of memory that it holds now.
  public var memory: Int {
    let library =
      switch backend {
      case .undecided: 0
      // zlib's documentation of its memory (zconf.h): the window and some 7 KiB.
      case .zlib: 40 << 10
      case .brotli(_, let memory): memory.bytes
      case .zstd(let stream): unsafe ZSTD_sizeof_DStream(stream)
      }
    return Self.outputCapacity + library
  }

  private static func zlib(windowBits: Int32) -> UnsafeMutablePointer<z_stream>? {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    guard unsafe tg_inflate_init(stream, windowBits) == Z_OK else {
      unsafe stream.deallocate()
      return nil
    }
    return unsafe stream
  }

  /// Inflates bytes, and calls `sink` with what they stand for, some KiB at a time.
  /// - Parameter limit: stop when about this many bytes have come out (up to 16 KiB more).
  /// - Returns: how many of `bytes` are done with; the others are to be given again, before any further ones.
  public func inflate(
    _ bytes: RawSpan, atMost limit: Int, _ sink: (RawSpan) -> Void
  ) throws(InflateError) -> Int {
    if case .undecided = backend { try decide(bytes) }
    if case .undecided = backend { return bytes.byteCount }
    if let first = held {
      held = nil
      _ = try unsafe inflateAll(InlineArray<1, UInt8>(repeating: first).span.bytes, atMost: .max, sink)
    }
    return try inflateAll(bytes, atMost: limit, sink)
  }

  /// Finds out how a deflated body is wrapped: zlib's header is a multiple of 31 that names method 8 (RFC 1950 §2.2).
  private func decide(_ bytes: RawSpan) throws(InflateError) {
    guard bytes.byteCount + (held == nil ? 0 : 1) >= 2 else {
      if bytes.byteCount > 0 { held = unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) }
      return
    }
    let first = unsafe held ?? bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
    let second = unsafe bytes.unsafeLoad(fromByteOffset: held == nil ? 1 : 0, as: UInt8.self)
    let isWrapped = first & 0x0F == 8 && (Int(first) << 8 | Int(second)).isMultiple(of: 31)
    guard let stream = unsafe Self.zlib(windowBits: isWrapped ? 15 : -15) else { throw .tooLarge }
    unsafe backend = .zlib(stream)
  }

  private func inflateAll(
    _ bytes: RawSpan, atMost limit: Int, _ sink: (RawSpan) -> Void
  ) throws(InflateError) -> Int {
    var consumed = 0
    var produced = 0
    isPaused = false
    while true {
      guard produced < limit else {
        isPaused = true
        return consumed
      }
      if hasEnded {
        // Padding behind the end is ignored; anything else begins another member or frame (RFC 1952 §2.2, RFC 8878 §3.1).
        while consumed < bytes.byteCount, unsafe bytes.unsafeLoad(fromByteOffset: consumed, as: UInt8.self) == 0 {
          consumed += 1
        }
        guard consumed < bytes.byteCount else { return consumed }
        try beginAgain()
      }
      let rest = bytes.extracting(consumed..<bytes.byteCount)
      let (read, written, progress) = try step(rest)
      consumed += read
      produced += written
      unsafe sink(UnsafeRawBufferPointer(rebasing: output[..<written]).bytes)
      hasEnded = progress == .ended
      if !hasEnded, written < Self.outputCapacity, consumed == bytes.byteCount || read == 0 && written == 0 { break }
    }
    return consumed
  }

  private func beginAgain() throws(InflateError) {
    switch backend {
    case .zlib(let stream):
      guard coding == .gzip, unsafe inflateReset(stream) == Z_OK else { throw .damaged }
    case .zstd: break
    case .brotli, .undecided: throw .damaged
    }
    hasEnded = false
  }

  /// One call of the library: as much as `output` has room for.
  private func step(_ bytes: RawSpan) throws(InflateError) -> (read: Int, written: Int, Progress) {
    let result: Result<(Int, Int, Progress), InflateError> = unsafe bytes.withUnsafeBytes { input in
      do throws(InflateError) {
        switch backend {
        case .undecided: return .success((0, 0, .goesOn))
        case .zlib(let stream): return .success(try unsafe step(stream, input))
        case .brotli(let state, _): return .success(try unsafe step(brotli: state, input))
        case .zstd(let stream): return .success(try unsafe step(zstd: stream, input))
        }
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private func step(
    _ stream: UnsafeMutablePointer<z_stream>, _ input: UnsafeRawBufferPointer
  ) throws(InflateError) -> (Int, Int, Progress) {
    unsafe stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe stream.pointee.avail_in = UInt32(clamping: input.count)
    unsafe stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe stream.pointee.avail_out = UInt32(output.count)
    let status = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
    guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
      throw status == Z_MEM_ERROR ? .tooLarge : .damaged
    }
    let read = unsafe min(input.count, Int(UInt32.max)) - Int(stream.pointee.avail_in)
    let written = unsafe output.count - Int(stream.pointee.avail_out)
    return (read, written, status == Z_STREAM_END ? .ended : .goesOn)
  }

  private func step(brotli state: OpaquePointer, _ input: UnsafeRawBufferPointer) throws(InflateError) -> (
    Int, Int, Progress
  ) {
    var (left, room) = unsafe (input.count, output.count)
    var next = unsafe input.baseAddress?.assumingMemoryBound(to: UInt8.self)
    var out = unsafe output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    let status = unsafe BrotliDecoderDecompressStream(state, &left, &next, &room, &out, nil)
    guard status != BROTLI_DECODER_RESULT_ERROR else { throw .damaged }
    return unsafe (
      input.count - left, output.count - room, status == BROTLI_DECODER_RESULT_SUCCESS ? .ended : .goesOn
    )
  }

  private func step(zstd stream: OpaquePointer, _ input: UnsafeRawBufferPointer) throws(InflateError) -> (
    Int, Int, Progress
  ) {
    var from = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var to = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let left = unsafe ZSTD_decompressStream(stream, &to, &from)
    guard ZSTD_isError(left) == 0 else {
      throw ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge ? .tooLarge : .damaged
    }
    return unsafe (from.pos, to.pos, left == 0 ? .ended : .goesOn)
  }
}

/// Counts what brotli's decoder allocates: its window alone may take 16 MiB, and nothing else tells.
@safe
private final class BrotliMemory {
  private let count = UnsafeMutablePointer<Int>.allocate(capacity: 1)

  init() { unsafe count.initialize(to: 0) }

  deinit { unsafe count.deallocate() }

  var bytes: Int { unsafe count.pointee }

  /// A decoder that is not to outlive this.
  func makeDecoder() -> OpaquePointer? {
    unsafe BrotliDecoderCreateInstance(
      { count, size in
        let block = unsafe malloc(size)
        unsafe count?.assumingMemoryBound(to: Int.self).pointee += Int(tg_block_size(block))
        return unsafe block
      },
      { count, block in
        unsafe count?.assumingMemoryBound(to: Int.self).pointee -= Int(tg_block_size(block))
        unsafe free(block)
      }, count)
  }
}
