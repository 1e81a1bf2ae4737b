// The flags of `tail` and `report` that choose exchanges by the time of their beginning.
import ArgumentParser
import Report

struct TimeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Only exchanges that began at this time or later.",
      discussion: "Takes \(TimeWindow.accepted).", valueName: "time"),
    transform: TimeArgument.nanoseconds)
  var since: Int64?

  @Option(
    help: ArgumentHelp(
      "Only exchanges that began before this time.",
      discussion: "Takes \(TimeWindow.accepted).", valueName: "time"),
    transform: TimeArgument.nanoseconds)
  var until: Int64?

  func validate() throws {
    if let since, let until, since >= until { throw ValidationError("--since must lie before --until.") }
  }

  var window: TimeWindow { TimeWindow(since: since, until: until) }
}
