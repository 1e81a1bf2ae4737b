// Which exchanges did what was promised: within the limits of an objective, and with every token in time.
import Measurement

/// What an objective says of an exchange.
enum Compliance: Sendable {
  case met
  case missed
  /// Nobody can tell: it was not streamed, or the client left while there was still time, or the request itself was wrong.
  case unknown
}

extension ReportRow {
  /// Whether the exchange was within both of an objective's parts.
  ///
  /// What the server or the proxy failed at is missed. A client that left counts only where a limit had passed by then. An answer
  /// of one token has no time per token, and is within any.
  func compliance(on objective: Objective) -> Compliance {
    guard hasDialect else { return .unknown }
    switch outcome {
    case .truncated, .streamError, .timeout, .upstreamUnreachable, .upstreamReset, .upstreamInvalid, .interrupted:
      return .missed
    case .upstreamStatus, .rejected: return isServersFault ? .missed : .unknown
    case .tunnelled: return .unknown
    case .ok, .clientCancelled: break
    }
    let first: Compliance = Self.compliance(ttft ?? waited, within: objective.ttft)
    let each: Compliance = tpot == nil && outputTokens == 1 ? .met : Self.compliance(tpot, within: objective.tpot)
    if first == .missed || each == .missed { return .missed }
    guard outcome == .ok, first == .met, each == .met else { return .unknown }
    return .met
  }

  private static func compliance(_ value: UInt64?, within limit: UInt64?) -> Compliance {
    guard let limit else { return .met }
    return value.map { $0 <= limit ? .met : .missed } ?? .unknown
  }

  /// Whether every token came by its deadline, by the objective under which the exchange was recorded.
  var deadlineCompliance: Compliance {
    guard let lateTokens else { return .unknown }
    if lateTokens > 0 { return .missed }
    switch outcome {
    case .ok: return .met
    // The tokens that were still to come may have been in time.
    case .clientCancelled: return .unknown
    default: return .missed
    }
  }

  /// Whether an error status means that the server could not serve, and not that the request was wrong.
  private var isServersFault: Bool { status.map { $0 >= 500 || $0 == 429 } ?? false }
}

/// How many exchanges complied.
struct ComplianceTally: Sendable {
  private(set) var met = 0
  /// Met or missed.
  private(set) var judged = 0
  private(set) var unknown = 0

  mutating func add(_ compliance: Compliance) {
    if compliance == .unknown { unknown += 1 } else { judged += 1 }
    if compliance == .met { met += 1 }
  }

  mutating func merge(_ other: ComplianceTally) {
    met += other.met
    judged += other.judged
    unknown += other.unknown
  }
}

/// How many exchanges did what was promised.
public struct Attainment: Hashable, Sendable {
  /// Those that did.
  public let met: Int
  /// Those of which it is known.
  public let judged: Int
  /// Those of which it is not known.
  public let unknown: Int

  /// From 0 to 1; nil where nothing is known.
  public var share: Double? { judged > 0 ? Double(met) / Double(judged) : nil }

  init(_ tally: ComplianceTally) {
    met = tally.met
    judged = tally.judged
    unknown = tally.unknown
  }
}
