// Reads a request's body as it passes, whatever its length and its coding, in bounded memory.
import ContentCoding
import JSON

/// How much of a request's body was read.
public enum RequestExtent: String, CaseIterable, Sendable {
  /// All of it, and it is a JSON object.
  case whole
  /// Not to its end, or it is damaged: facts may be missing.
  case partly
  /// Nothing.
  case no
}

/// Why a request's body was not read to its end. The words are those of a record's `error`.
public enum RequestObstacle: String, CaseIterable, Sendable {
  /// It is no JSON object, or a damaged one.
  case notJSON = "request_not_json"
  /// Its content coding is not known, or there are several.
  case encodingUnknown = "request_encoding_unknown"
  /// It does not inflate as its content coding promises.
  case encodingDamaged = "request_encoding_damaged"
  /// Inflating it would cost more than is allowed.
  case readLimit = "request_read_limit"
}

/// The reading of one request's body, beside its forwarding. Confined to one thread.
///
/// A compressed body is inflated in slices: who owns it calls `inflateMore` as long as `isWaiting`.
public final class RequestReader {
  /// Bytes of a compressed body that may wait to be inflated.
  private static let waitingBytes = 4 << 20

  private let dialect: any Dialect.Type
  private var scanner: JSONScanner
  private let inflater: Inflater?
  private var waiting: [UInt8] = []
  /// Those of them that are done with.
  private var waitingStart = 0
  /// Bytes that may still be inflated.
  private var budget: Int
  /// What keeps the body from being read to its end; nil as long as nothing does.
  public private(set) var obstacle: RequestObstacle?

  /// - Parameter budget: the most bytes that a compressed body is inflated to.
  public init(_ dialect: any Dialect.Type, _ coding: ContentCoding.Announced, budget: Int) {
    self.dialect = dialect
    self.budget = budget
    scanner = JSONScanner(JSONPaths(RequestFacts.members + dialect.requestMembers))
    switch coding {
    case .identity: inflater = nil
    case .coded(let coding):
      inflater = Inflater(coding)
      if inflater == nil { obstacle = .readLimit }
    case .codedTwice, .unknown:
      inflater = nil
      obstacle = .encodingUnknown
    }
  }

  /// Whether the body is compressed.
  public var inflates: Bool { inflater != nil }

  /// Whether bytes that have come are still to be inflated.
  public var isWaiting: Bool { obstacle == nil && (!waiting.isEmpty || inflater?.isPaused == true) }

  /// Gives up: there is no time or memory for more.
  public func stop(_ obstacle: RequestObstacle) {
    if self.obstacle == nil { self.obstacle = obstacle }
    (waiting, waitingStart) = ([], 0)
  }

  /// Reads the next bytes of the body.
  /// - Parameter limit: about how many bytes may be inflated now.
  /// - Returns: how many were.
  @discardableResult
  public func read(_ bytes: RawSpan, inflating limit: Int) -> Int {
    guard obstacle == nil else { return 0 }
    guard inflater != nil else {
      scanner.scan(bytes)
      return 0
    }
    guard !isWaiting else {
      wait(bytes)
      return 0
    }
    let (consumed, produced) = inflate(bytes, limit)
    if obstacle == nil, consumed < bytes.byteCount { wait(bytes.extracting(consumed..<bytes.byteCount)) }
    return produced
  }

  /// Inflates bytes that wait.
  /// - Returns: how many bytes came of them.
  public func inflateMore(_ limit: Int) -> Int {
    let bytes = waiting
    let (consumed, produced) = unsafe inflate(bytes.span.bytes.extracting(waitingStart..<bytes.count), limit)
    waitingStart += consumed
    // It would be tried for ever.
    let isStuck = consumed == 0 && produced == 0 && inflater?.isPaused == false && waitingStart < bytes.count
    if isStuck { stop(.encodingDamaged) }
    if obstacle != nil || waitingStart == bytes.count { (waiting, waitingStart) = ([], 0) }
    return produced
  }

  private func wait(_ bytes: RawSpan) {
    guard waiting.count - waitingStart + bytes.byteCount <= Self.waitingBytes else { return stop(.readLimit) }
    unsafe bytes.withUnsafeBytes { unsafe waiting.append(contentsOf: $0) }
  }

  private func inflate(_ bytes: RawSpan, _ limit: Int) -> (consumed: Int, produced: Int) {
    guard let inflater else { return (bytes.byteCount, 0) }
    var produced = 0
    do throws(InflateError) {
      let consumed = try inflater.inflate(bytes, atMost: min(limit, budget)) {
        produced += $0.byteCount
        scanner.scan($0)
      }
      budget -= produced
      if budget <= 0, inflater.isPaused || consumed < bytes.byteCount { stop(.readLimit) }
      return (consumed, produced)
    } catch {
      // An object that has ended is whole, whatever stands behind it.
      if scanner.extent != .whole { stop(error == .damaged ? .encodingDamaged : .readLimit) }
      return (bytes.byteCount, produced)
    }
  }

  /// The facts that were found. Call it when no more comes.
  /// - Parameter isComplete: whether the whole body has come.
  public func finish(isComplete: Bool, _ facts: inout RequestFacts, _ context: DecodingContext) -> RequestExtent {
    if isWaiting { stop(.readLimit) }
    if isComplete, obstacle == nil, scanner.extent != .whole {
      obstacle = inflater?.hasEnded == false ? .encodingDamaged : .notJSON
    }
    guard scanner.extent != .none else { return .no }
    let excerpt = scanner.excerpt
    _ = unsafe facts.read(excerpt.span.bytes, dialect, context)
    if scanner.extent == .whole, obstacle == nil { return .whole }
    // What it did not say so far it may say in the rest.
    (facts.choices, facts.stream) = (nil, nil)
    return .partly
  }
}
