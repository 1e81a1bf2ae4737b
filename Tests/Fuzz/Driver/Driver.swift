// The fuzzer's main: libFuzzer on one target, named by $FUZZ_TARGET.
// It must not catch anything: a finding ends the process, and libFuzzer keeps the bytes.
import FuzzTargets
import Glibc

private let target: FuzzTarget = {
  guard let name = unsafe getenv("FUZZ_TARGET"), let target = unsafe FuzzTarget(rawValue: String(cString: name)) else {
    fatalError("FUZZ_TARGET names none of \(FuzzTarget.allCases.map(\.rawValue))")
  }
  return target
}()

/// Made once: set-up is not what is fuzzed. libFuzzer runs its target on one thread.
nonisolated(unsafe) private let run = FuzzRun(isThorough: false)

/// libFuzzer's own driver, as its library exports it (FuzzerInterface.h).
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ testOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager gives every executable's main its own name, and makes that the entry point: libFuzzer's would
/// never be reached.
@_cdecl("fuzz_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  var count = count
  var arguments = unsafe arguments
  return unsafe runDriver(&count, &arguments) { start, count in
    if let finding = target.finding(unsafe Array(UnsafeBufferPointer(start: start, count: count)), unsafe run) {
      fatalError(finding)
    }
    return 0
  }
}
