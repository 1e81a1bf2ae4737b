// The first token by the length of the input, with and without a prefix cache.

/// What an exchange's `cached_tokens` say of its prefix.
public enum CacheState: Int, CaseIterable, Sendable {
  /// Nothing came from a cache.
  case cold
  /// Some of the input did.
  case warm
  /// The server did not say.
  case unknown

  init(cachedTokens: Int?) { self = cachedTokens.map { $0 > 0 ? .warm : .cold } ?? .unknown }
}

/// The `ok` streams of one model.
struct InputTally: Sendable {
  /// TTFT by bucket of input tokens and cache state.
  private(set) var buckets: [[Distribution]] = []
  /// TTFT in ms over uncached input tokens, of the exchanges whose cached tokens are known.
  private(set) var uncached = FitTally()
  /// The same over all input tokens, of the others.
  private(set) var whole = FitTally()

  mutating func add(ttft: UInt64, input: Int, cached: Int?) {
    let bucket = InputCurve.bucket(of: input)
    while buckets.count <= bucket { buckets.append([Distribution](repeating: Distribution(), count: CacheState.count)) }
    buckets[bucket][CacheState(cachedTokens: cached).rawValue].record(ttft)
    let milliseconds = Double(ttft) / 1000
    guard let cached else { return whole.add(x: Double(input), y: milliseconds) }
    uncached.add(x: Double(max(input - cached, 0)), y: milliseconds)
  }

  mutating func merge(_ other: InputTally) {
    while buckets.count < other.buckets.count {
      buckets.append([Distribution](repeating: Distribution(), count: CacheState.count))
    }
    for (bucket, states) in other.buckets.enumerated() {
      for (state, distribution) in states.enumerated() { buckets[bucket][state].merge(distribution) }
    }
    uncached.merge(other.uncached)
    whole.merge(other.whole)
  }
}

extension CacheState {
  fileprivate static let count = allCases.count
}

/// The tallies of the models asked for, up to a bound; and of requests that named none.
struct InputCurve: Sendable {
  /// Models kept; what further ones' requests say is only counted.
  static let maximumModels = 100

  private var names = KeyInterner(maximumKeys: maximumModels)
  private var models: [InputTally] = []
  private(set) var nameless = InputTally()
  /// Exchanges of models that were not kept.
  private(set) var leftOut = 0

  /// Up to 128 tokens, and then 129 to 256, 257 to 512, …
  static func bucket(of tokens: Int) -> Int {
    tokens <= 128 ? 0 : Int.bitWidth - (tokens - 1).leadingZeroBitCount - 7
  }

  static func range(of bucket: Int) -> ClosedRange<Int> {
    bucket == 0 ? 0...128 : ((64 << bucket) + 1)...(128 << bucket)
  }

  /// The models with their tallies, in no order.
  var named: [(model: String?, tally: InputTally)] {
    var all: [(model: String?, tally: InputTally)] = models.indices.map {
      (String(decoding: names.bytes(of: $0), as: UTF8.self), models[$0])
    }
    if !nameless.buckets.isEmpty { all.append((nil, nameless)) }
    return all
  }

  /// The number under which `model` is kept; nil where there are too many.
  mutating func number(of model: Span<UInt8>) -> Int? {
    guard let number = names.intern(model) else { return nil }
    if number == models.count { models.append(InputTally()) }
    return number
  }

  /// Counts an exchange that ended ok and has a first token and known input tokens.
  mutating func add(_ row: ReportRow, to model: GroupTable.Destination) {
    guard row.outcome == .ok, !row.isLeftOut, let ttft = row.ttft, let input = row.inputTokens else { return }
    switch model {
    case .keyless: nameless.add(ttft: ttft, input: input, cached: row.cachedTokens)
    case .key(let number): models[number].add(ttft: ttft, input: input, cached: row.cachedTokens)
    case .folded: leftOut += 1
    }
  }

  mutating func merge(_ other: InputCurve) {
    nameless.merge(other.nameless)
    leftOut += other.leftOut
    for number in other.models.indices {
      let name = other.names.bytes(of: number)
      if let ours = self.number(of: name.span) {
        models[ours].merge(other.models[number])
      } else {
        leftOut += other.models[number].buckets.joined().reduce(0) { $0 + $1.count }
      }
    }
  }
}

/// One model's first tokens by the length of the input.
public struct InputReport: Sendable {
  /// TTFT = `fixed` + `perToken` × tokens, in milliseconds.
  public struct Fit: Hashable, Sendable {
    /// The time of an input of no token.
    public let fixed: Double
    /// The time of each token of the input that did not come from a cache.
    public let perToken: Double
    /// How much of the variance the line explains, 0 to 1.
    public let rSquared: Double
    /// Exchanges it is fitted to.
    public let count: Int
    /// Whether cached tokens are known and left out; otherwise no exchange says them, and all input tokens count.
    public let isUncached: Bool
  }

  /// Inputs of about one length.
  public struct Row: Sendable {
    /// Input tokens, cached ones included.
    public let inputTokens: ClosedRange<Int>
    fileprivate let states: [Percentiles?]

    /// TTFT in milliseconds; nil where there was none.
    public subscript(state: CacheState) -> Percentiles? { states[state.rawValue] }
  }

  /// As asked for; nil where the requests named none.
  public let model: String?
  /// Nil where no line can be told: fewer than two exchanges, or all of one length.
  public let fit: Fit?
  /// Rising; only lengths that occurred.
  public let rows: [Row]
  /// Exchanges in `rows`.
  public let exchanges: Int

  init(_ model: String?, _ tally: InputTally) {
    self.model = model
    let isUncached = tally.uncached.count > 0
    let points = isUncached ? tally.uncached : tally.whole
    fit = points.line.map {
      Fit(fixed: $0.intercept, perToken: $0.slope, rSquared: $0.rSquared, count: points.count, isUncached: isUncached)
    }
    rows = tally.buckets.enumerated().compactMap { bucket, states in
      let row = Row(inputTokens: InputCurve.range(of: bucket), states: states.map { Percentiles($0) })
      return row.states.contains { $0 != nil } ? row : nil
    }
    exchanges = tally.buckets.joined().reduce(0) { $0 + $1.count }
  }
}
