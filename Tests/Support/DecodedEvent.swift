// What one event said, as a value: for the tests of decoding and for the fuzz targets.
import TokenWire

/// All that an observation says in public, to compare and to keep.
package struct DecodedEvent: Equatable {
  package let outputs: [ChoiceOutput]
  package let silentChoices: [SilentChoice]
  package let usage: TokenUsage?
  package let countedChoice: Int?
  package let serverCounts: TokenUsage?
  package let serverDurations: ServerDurations?
  package let finishReason: String?
  package let responseModel: String?
  package let errorKind: String?
  package let isTerminator: Bool
  package let isMedia: Bool
  package let isOfUnknownDialect: Bool

  /// A copy of what `observation` says.
  package init(_ observation: borrowing Observation) {
    outputs = observation.outputs
    silentChoices = observation.silentChoices
    usage = observation.usage
    countedChoice = observation.countedChoice
    serverCounts = observation.serverCounts
    serverDurations = observation.serverDurations
    finishReason = observation.finishReason
    responseModel = observation.responseModel
    errorKind = observation.errorKind
    isTerminator = observation.isTerminator
    isMedia = observation.isMedia
    isOfUnknownDialect = observation.isOfUnknownDialect
  }
}
