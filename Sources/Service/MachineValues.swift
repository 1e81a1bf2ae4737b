// The values of this machine that stand where a setting is `auto`.
import Configuration
import SettingValues
import Transport

extension Settings {
  /// These settings with a value of this machine in place of each `auto`.
  func withMachineValues() -> Settings {
    var settings = self
    let workers = workers ?? EventLoop.usableCores
    settings.workers = workers
    settings.instance = instance ?? HostName.current
    settings.limits.descriptors = limits.descriptors ?? OpenFiles.forSockets(workers: workers)
    return settings
  }
}
