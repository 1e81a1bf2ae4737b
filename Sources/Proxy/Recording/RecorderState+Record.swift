// From what is known of an exchange to its record.
import Measurement
import TokenWire

extension RecorderState {
  /// Fills a record. The words are moved into it: once only.
  mutating func fill(
    _ record: inout ExchangeRecord, _ termination: Termination, _ failure: ExchangeFailure?, _ upstream: String,
    _ configuration: ConfigurationSnapshot, _ counters: Counters
  ) {
    fillWords(&record, termination, failure, upstream, configuration, counters)
    meter.fill(&record)
  }

  private mutating func fillWords(
    _ record: inout ExchangeRecord, _ termination: Termination, _ failure: ExchangeFailure?, _ upstream: String,
    _ configuration: ConfigurationSnapshot, _ counters: Counters?
  ) {
    record.id = id
    record.instance = configuration.instance
    let requestExtent = requestExtentSoFar
    if let metadata, let origin {
      let isBodyRead = dialect == nil || requestExtent ?? .whole == .whole
      // Signatures of tokens are checked now, when all bytes have long gone.
      let user = origin.identity(
        facts: facts, client: client ?? "", isBodyRead: isBodyRead,
        at: Double(meter.received.realtimeNanoseconds) / 1e9
      ) { counters?.tokenFailures.add($0) }
      record.user = origin.shown(user)
      record.userFrom = user?.from ?? (isBodyRead ? "none" : "unread")
      record.task = origin.task(facts: facts)
      record.session = origin.session(facts: facts)
      record.method = metadata.method
      record.path = metadata.path
    } else {
      // There is nothing to tell by whom a name is to be hidden.
      record.user = configuration.settings.identity.names == .keep ? client : nil
      record.userFrom = client == nil ? nil : "client_ip"
      record.method = partialRequestLine?.method
      record.path = partialRequestLine?.path
    }
    record.dialect = dialect?.name
    record.responseID = dialect == nil ? nil : decoder?.responseID
    swap(&record.client, &client)
    swap(&record.requestID, &requestID)
    swap(&record.traceID, &traceID)
    swap(&record.model, &facts.model)
    // Of a body that is nobody's format nothing is told; of a stream there is when its events came.
    record.stream = dialect != nil || isStream == true ? isStream : nil
    record.encoding = encoding
    record.status = status
    record.outcome = termination.outcome
    record.stage = termination.stage
    record.error = failure?.description
    record.upstream = upstream
    record.inFlight = inFlight
    record.requestRead = dialect == nil ? nil : requestExtent.flatMap { RequestRead(rawValue: $0.rawValue) }
    record.requestBytes = requestBytes
    record.responseBytes = responseBytes
  }

  /// Fills the record that the exchange has if the process is killed now. It goes on as if nothing had been asked.
  /// - Parameter tunnel: the bytes of a tunnel so far.
  mutating func fillProvisionally(
    _ record: inout ExchangeRecord, _ upstream: String, _ configuration: ConfigurationSnapshot, tunnel: TunnelCount?
  ) {
    let stage: Stage =
      hasOutput || tunnel != nil
      ? .streaming : !meter.isRequestComplete ? .upload : inFlight == nil ? .connecting : .waiting
    let failure = ExchangeFailure(.proxyKilled, "the proxy was killed while it drained")
    let (client, requestID, traceID, model) = (client, requestID, traceID, facts.model)
    fillWords(
      &record, Termination(outcome: .interrupted, stage: stage, failure: failure), failure, upstream, configuration, nil
    )
    (self.client, self.requestID, self.traceID, facts.model) = (client, requestID, traceID, model)
    if let tunnel { (record.requestBytes, record.responseBytes) = (tunnel.fromClient, tunnel.fromUpstream) }
    meter.fillProvisionally(&record, at: .now())
  }

  /// How an exchange ended of which every byte went through.
  mutating func measuredTermination() -> Termination {
    let failure = meter.errorKind.map { ExchangeFailure(.serverError, $0) }
    if let status, status >= 400 { return Termination(outcome: .upstreamStatus, stage: nil, failure: failure) }
    if let failure { return Termination(outcome: .streamError, stage: .streaming, failure: failure) }
    if isStream == true, dialect != nil, decoder?.hasStopped == false, decoder?.isWhole == false {
      return Termination(
        outcome: .truncated, stage: hasOutput ? .streaming : .waiting,
        failure: ExchangeFailure(.terminatorMissing, "stream ended without its terminator"))
    }
    return Termination(outcome: .ok, stage: nil, failure: nil)
  }

  /// What measuring could not do.
  mutating func remark() -> ExchangeFailure? {
    guard dialect != nil else { return nil }
    if let problem = decoder?.problem { return ExchangeFailure(.decodingStopped, problem) }
    if let malformed = decoder?.malformedEvents, malformed > 0 {
      return ExchangeFailure(.eventsNotJSON, "\(malformed) events were not JSON")
    }
    return requestObstacle.map { ExchangeFailure($0) }
  }
}

extension ExchangeFailure {
  /// A request's body was not read to its end.
  fileprivate init(_ obstacle: RequestObstacle) {
    switch obstacle {
    case .notJSON: self.init(.requestNotJSON, "the request's body is no JSON object, or is damaged")
    case .encodingUnknown: self.init(.requestEncodingUnknown, "the request's content-encoding is not known")
    case .encodingDamaged: self.init(.requestEncodingDamaged, "the request's body does not inflate")
    case .readLimit: self.init(.requestReadLimit, "the request's body inflates to more than is read")
    }
  }
}
