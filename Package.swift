// swift-tools-version: 6.2
// The modules and their dependencies; scripts/check compares the imports with the same table.
import PackageDescription

/// Every module of ours: Swift 6, strict memory safety, no warning left standing.
let ours: [SwiftSetting] = [.strictMemorySafety(), .treatAllWarnings(as: .error)]

/// A test target beside its module.
func tests(_ module: String, _ more: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(module)Tests", dependencies: [.byName(name: module), "TestSupport"] + more,
    swiftSettings: [.treatAllWarnings(as: .error)])
}

/// A module of this package: a target named after its folder.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, exclude: ["README.md"], swiftSettings: ours)
}

let package = Package(
  name: "tachograph",
  platforms: [.macOS(.v26)],
  products: [.executable(name: "tachograph", targets: ["tachograph"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // C, confined: a module map and a header of static inline casts each.
    .systemLibrary(name: "CLibuv", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
    .systemLibrary(name: "CLLHTTP", pkgConfig: "libllhttp", providers: [.apt(["libllhttp-dev"])]),
    .systemLibrary(name: "CYYJSON", pkgConfig: "yyjson", providers: [.apt(["libyyjson-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CBrotli", pkgConfig: "libbrotlidec", providers: [.apt(["libbrotli-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CSocket"),

    // The proxy's own path, from the bottom up.
    module("Clocks"),
    module("Transport", ["CLibuv", "CSocket", "Clocks"]),
    module("HTTP"),
    module("HTTP1", ["CLLHTTP", "Clocks", "HTTP", "Transport"]),
    module("Logging"),
    module("Metrics"),
    module("JSON", ["CYYJSON"]),
    module("ContentCoding", ["CZlib", "CBrotli", "CZstd"]),
    module("TokenWire", ["JSON", "ContentCoding"]),
    module(
      "Measurement",
      [
        "Clocks", "JSON", "Metrics", "TokenWire", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
      ]),
    module("RecordLog", ["Clocks", "ContentCoding", "JSON", "Logging", "Measurement", "Metrics"]),
    module("SettingValues"),
    module(
      "Proxy",
      [
        "Clocks", "Transport", "HTTP", "HTTP1", "Logging", "Metrics", "ContentCoding", "TokenWire", "Measurement",
        "RecordLog", "SettingValues",
      ]),

    // Beside the path: settings, what people look at, and the traffic we make ourselves.
    module("Configuration", ["SettingValues", "Yams"]),
    module("Admin", ["Clocks", "Transport", "HTTP", "HTTP1"]),
    module(
      "Report",
      ["JSON", "Measurement", "RecordLog", "SettingValues", .product(name: "Histogram", package: "hdrhistogram-swift")]),
    module(
      "Service",
      [
        "Transport", "Logging", "Metrics", "Proxy", "SettingValues", "Configuration", "Admin", "Measurement",
        "RecordLog",
      ]),
    module("Simulator", ["Clocks", "Transport", "HTTP", "HTTP1", "JSON"]),
    module("LoadClient", ["Clocks", "Transport", "HTTP", "HTTP1", "JSON", "TokenWire"]),
    .executableTarget(
      name: "tachograph",
      dependencies: [
        "Clocks", "Transport", "Logging", "Metrics", "Proxy", "Configuration", "Admin", "Measurement", "RecordLog",
        "Report", "Service", "SettingValues", "Simulator", "LoadClient",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      exclude: ["README.md"],
      swiftSettings: ours),

    // What is fuzzed: the tests replay its corpus, scripts/fuzz goes on from there.
    .target(
      name: "FuzzTargets",
      dependencies: [
        "Transport", "HTTP", "HTTP1", "JSON", "TokenWire", "Measurement", "SettingValues", "Configuration", "RecordLog",
        "TestSupport",
      ],
      path: "Tests/Fuzz/Targets", swiftSettings: ours),
    .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Replay"),

    // What the tests of several modules share.
    .target(
      name: "TestSupport", dependencies: ["HTTP", "TokenWire", "Transport"], path: "Tests/Support",
      exclude: ["README.md"],
      swiftSettings: [.treatAllWarnings(as: .error)]),

    .target(
      name: "SimulatorSupport", dependencies: ["Simulator", "Transport", "TestSupport"], path: "Tests/SimulatorSupport",
      swiftSettings: [.treatAllWarnings(as: .error)]),

    tests("Clocks"),
    tests("Transport", ["CSocket", "Clocks"]),
    tests("HTTP", ["HTTP1"]),
    tests("HTTP1", ["Clocks", "HTTP", "Transport"]),
    tests("Logging"),
    tests("Metrics"),
    tests("JSON"),
    tests("ContentCoding", ["CZlib", "CBrotli", "CZstd"]),
    tests("TokenWire", ["JSON", "ContentCoding"]),
    tests(
      "Measurement",
      [
        "Clocks", "Metrics", "TokenWire", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
      ]),
    tests("RecordLog", ["CZlib", "CZstd", "Clocks", "JSON", "Logging", "Measurement"]),
    tests(
      "Report",
      ["CZlib", "JSON", "Measurement", "RecordLog", .product(name: "Histogram", package: "hdrhistogram-swift")]),
    tests("SettingValues"),
    tests("Configuration", ["SettingValues"]),
    tests("Admin", ["Transport"]),
    tests(
      "Proxy",
      [
        "CZlib", "CZstd", "Clocks", "ContentCoding", "HTTP", "HTTP1", "Logging", "Measurement", "Metrics", "RecordLog",
        "SettingValues", "Transport",
      ]),
    tests("Service", ["Configuration", "Logging", "SettingValues", "Transport"]),
    tests("Simulator", ["SimulatorSupport"]),
    tests("LoadClient", ["SimulatorSupport"]),
  ],
  swiftLanguageModes: [.v6]
)

// libFuzzer brings a main of its own, so its executable is there only for those who ask (scripts/fuzz does).
if Context.environment["TACHOGRAPH_FUZZ"] != nil {
  package.products.append(.executable(name: "fuzz", targets: ["fuzz"]))
  package.targets.append(
    .executableTarget(name: "fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Driver", swiftSettings: ours))
}
