// What is fuzzed: each target takes any bytes and says what, if anything, is wrong with what became of them.
// It must not know who made the bytes: libFuzzer (Driver) or the corpus (Replay).

/// One way into the program for bytes that others write.
public enum FuzzTarget: String, CaseIterable, Sendable {
  case requests
  case responses
  case events
  case openAIChat = "openai.chat"
  case openAICompletions = "openai.completions"
  case ollamaChat = "ollama.chat"
  case ollamaGenerate = "ollama.generate"
  case proxyHeader = "proxy-header"
  case configuration
  case records

  /// Runs the target on `bytes`.
  /// - Returns: what does not hold; nil if all does. A crash is a finding of its own.
  public func finding(_ bytes: [UInt8]) -> String? {
    do throws(Finding) {
      switch self {
      case .requests: try checkRequests(bytes)
      case .responses: try checkResponses(bytes)
      case .events: try checkEvents(bytes)
      case .openAIChat, .openAICompletions, .ollamaChat, .ollamaGenerate: try checkDialect(rawValue, bytes)
      case .proxyHeader: try checkProxyHeader(bytes)
      case .configuration: try checkConfiguration(bytes)
      case .records: try checkRecords(bytes)
      }
      return nil
    } catch {
      return error.what
    }
  }
}

/// Something that does not hold.
struct Finding: Error {
  let what: String
  init(_ what: String) { self.what = what }
}

/// Throws `what` unless `condition` is true.
func hold(_ condition: Bool, _ what: @autoclosure () -> String) throws(Finding) {
  if !condition { throw Finding(what()) }
}

/// The same bytes whole, byte by byte, and in two ways between that depend on them alone.
func everyWay(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
  var ways = [[bytes[...]], bytes.indices.map { bytes[$0...$0] }]
  // FNV-1a, then a linear congruence: the same bytes are cut alike each time.
  var state: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  for most in [7, 40] {
    var pieces: [ArraySlice<UInt8>] = []
    var start = 0
    while start < bytes.count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let end = min(bytes.count, start + 1 + Int(state >> 33) % most)
      pieces.append(bytes[start..<end])
      start = end
    }
    ways.append(pieces)
  }
  return ways
}

/// Bytes as text for a finding.
func shown(_ bytes: some Collection<UInt8>) -> String {
  bytes.prefix(400).map { byte in
    switch byte {
    case 0x0D: "\\r"
    case 0x0A: "\\n"
    case 0x20..<0x7F: String(UnicodeScalar(byte))
    default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
  }.joined()
}
