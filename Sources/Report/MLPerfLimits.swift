// MLPerf Inference's limits for servers, as objectives with names.
import SettingValues

/// The latency limits of MLPerf Inference, datacenter, for language models, one preset for each class of models and scenario.
///
/// Source: MLCommons inference_policies, inference_rules.adoc at ac93e89 (rules of v6.1), server (conversational) and interactive
/// scenarios. There the 99th percentile of all queries has to meet them. Qwen3-VL-235B has no preset: its limit is 12 s for a
/// whole query.
public enum MLPerfLimits {
  /// One class of models in one scenario.
  public struct Preset: Hashable, Sendable {
    /// `mlperf:MODEL`, or `mlperf:MODEL-interactive`.
    public let name: String
    /// The limits.
    public let level: ServiceLevel
  }

  /// Every preset. The ones for interactive use are the stricter ones; Mixtral has none.
  public static let all: [Preset] = [
    preset("llama3.1-8b", 2000, 100), preset("llama3.1-8b-interactive", 500, 30),
    preset("llama2-70b", 2000, 200), preset("llama2-70b-interactive", 450, 40),
    preset("mixtral-8x7b", 2000, 200),
    preset("llama3.1-405b", 6000, 175), preset("llama3.1-405b-interactive", 4500, 80),
    preset("deepseek-r1", 2000, 80), preset("deepseek-r1-interactive", 1500, 15),
    preset("gpt-oss-120b", 3000, 80), preset("gpt-oss-120b-interactive", 2000, 20),
  ].compactMap(\.self)

  private static func preset(_ model: String, _ ttft: Int, _ tpot: Int) -> Preset? {
    ServiceLevel(ttft: .milliseconds(ttft), tpot: .milliseconds(tpot)).map {
      Preset(name: "mlperf:\(model)", level: $0)
    }
  }

  /// The preset called `name`.
  static func preset(_ name: String) -> Preset? { all.first { $0.name == name } }
}
