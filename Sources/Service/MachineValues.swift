// The values of this machine that stand where a setting is `auto`.
import Configuration
import SettingValues
import Transport

extension Settings {
  /// These settings with a value of this machine in place of each `auto`.
  func withMachineValues() -> Settings {
    var settings = withDrain()
    let workers = workers ?? EventLoop.usableCores
    settings.workers = workers
    settings.instance = instance ?? HostName.current
    settings.limits.descriptors = limits.descriptors ?? OpenFiles.forSockets(workers: workers)
    return settings
  }

  /// These settings with the drain that goes with where records go, where it is `auto`.
  func withDrain() -> Settings {
    var settings = self
    // Docker kills 10 s after SIGTERM: a drain that is cut loses records where there is no file to keep them in.
    settings.timeouts.drain =
      timeouts.drain ?? (records.file.isRegularFile ? Timeouts.drainWithFile : Timeouts.drainWithoutFile)
    return settings
  }
}
