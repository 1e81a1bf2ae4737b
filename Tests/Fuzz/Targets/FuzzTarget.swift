// What is fuzzed: each target takes any bytes and says what, if anything, is wrong with what became of them.

/// One way into the program for bytes that others write.
public enum FuzzTarget: String, CaseIterable, Sendable {
  case requests
  case responses
  case chunks
  case events
  case openAIChat = "openai.chat"
  case openAICompletions = "openai.completions"
  case ollamaChat = "ollama.chat"
  case ollamaGenerate = "ollama.generate"
  case dialects
  case proxyHeader = "proxy-header"
  case configuration
  case setting
  case records
  case json
  case scanner

  /// Runs the target on `bytes`.
  /// - Parameter run: what this target's runs share.
  /// - Returns: what does not hold; nil if all does. A crash is a finding of its own.
  public func finding(_ bytes: [UInt8], _ run: FuzzRun) -> String? {
    run.begin(bytes)
    do throws(Finding) {
      switch self {
      case .requests: try checkRequests(bytes, run)
      case .responses: try checkResponses(bytes, run)
      case .chunks: try checkChunks(bytes, run)
      case .events: try checkEvents(bytes, run)
      case .openAIChat, .openAICompletions, .ollamaChat, .ollamaGenerate: try checkDialect(rawValue, bytes, run)
      case .dialects: try checkDialects(bytes, run)
      case .proxyHeader: try checkProxyHeader(bytes, run)
      case .configuration: try checkConfiguration(bytes, run)
      case .setting: try checkSetting(bytes, run)
      case .records: try checkRecords(bytes, run)
      case .json: try checkJSON(bytes, run)
      case .scanner: try checkScanner(bytes, run)
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
