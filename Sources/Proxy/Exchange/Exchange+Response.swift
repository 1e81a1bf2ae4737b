// What an exchange does with what upstream sends: heads and bodies on to the client, and a tunnel behind a 101.
import Clocks
import HTTP
import HTTP1
import Measurement
import Transport

extension Exchange: ClientConnectionDelegate {
  func clientConnection(_ connection: ClientConnection, willRead byteCount: Int, _ arrival: Arrival) {
    upstreamCounters.reads.add()
    upstreamCounters.readBytes.add(byteCount)
    activeAt = arrival.readAt
    machine.responseBytesArrived(at: arrival.at)
  }

  // MARK: Heads

  func clientConnection(_ connection: ClientConnection, cachedHeadIn bytes: RawSpan) -> ResponseHead? {
    self.connection?.cachedHead(in: bytes, for: connection.parser)
  }

  /// Puts a head that is complete together for the client, if it is to have it.
  func clientConnection(
    _ connection: ClientConnection, didReceive head: ResponseHead, _ arrival: Arrival, into output: OutputBuffer
  ) throws(HTTPParseError) {
    guard let metadata = self.connection?.metadata(of: head, from: connection.parser, configuration) else { return }
    let worker = worker
    let firstByteAt = machine.headStartedAt ?? arrival.at
    let isVersion11 = machine.traits.isVersion11
    switch machine.headReceived(ResponseTraits(head, offer), isDraining: worker.isDraining) {
    case .drop:
      return
    case .refuse(let error):
      throw error
    case .forwardInterim:
      head.write(
        to: output, client11: isVersion11, closing: false, policy: configuration.forwarding)
    case .switchProtocols:
      connection.switchProtocols()
      head.write(
        to: output, client11: isVersion11, closing: false, policy: configuration.forwarding)
      requestBuffer.dropHead()
      recorder.switchedProtocols(head, firstByteAt: firstByteAt, completeAt: arrival.at)
    case .forwardFinal(let closing):
      metadata.write(head, client11: isVersion11, closing: closing, to: output)
      requestBuffer.dropHead()
      recorder.responseHead(head, metadata, firstByteAt: firstByteAt, completeAt: arrival.at)
      if configuration.hasObjectives { recorder.heldTo(configuration.settings.slo) }
    }
  }

  func clientConnectionDidCompleteInterim(_ connection: ClientConnection, isNextBegun: Bool, _ arrival: Arrival) {
    machine.interimCompleted(nextAt: isNextBegun ? arrival.at : nil)
  }

  // MARK: Bodies

  /// Bytes from upstream: sent on first, decoded afterwards.
  func clientConnection(
    _ connection: ClientConnection, didReadBody ranges: BodyRanges, of bytes: RawSpan,
    _ outcome: ClientConnection.ReadOutcome, _ arrival: Arrival, into output: OutputBuffer
  ) {
    switch outcome {
    case .partial:
      deliver(ranges, by: connection.parser, of: bytes, isBroken: false, arrival, output)
    case .complete:
      deliver(ranges, by: connection.parser, of: bytes, isBroken: false, arrival, output)
      perform(machine.responseCompleted(mayReuse: connection.mayReuse, at: arrival.at))
    case .failed(let error):
      deliver(ranges, by: connection.parser, of: bytes, isBroken: true, arrival, output)
      worker.counters.refused(error, from: .upstream)
      perform(machine.responseInvalid(error, recorder.progress))
    }
  }

  /// Sends what one read brought, and hands it to the recorder, which decodes it later.
  /// - Parameters:
  ///   - ranges: where `parser` found body bytes last.
  ///   - bytes: what it took last; behind heads, which are put together already.
  ///   - isBroken: whether the message is broken behind the last range that was found.
  ///   - output: those heads; nothing where there are none.
  private func deliver(
    _ ranges: BodyRanges, by parser: MessageParser, of bytes: RawSpan, isBroken: Bool, _ arrival: Arrival,
    _ output: OutputBuffer
  ) {
    guard let framing = machine.bodyFraming else {
      if !output.isEmpty, !downstream.write(output) { clientQueued() }
      return
    }
    let isTaken: Bool
    if output.isEmpty, !isBroken, parser.isCanonical, framing == .chunked {
      // Put together anew, it would be the same bytes.
      isTaken = downstream.write(bytes)
    } else {
      if isBroken {
        BodyEncoder.append(ranges, of: bytes, framing: framing, to: output)
      } else {
        BodyEncoder.append(ranges, by: parser, of: bytes, framing: framing, to: output)
      }
      isTaken = output.isEmpty ? downstream.queuedBytes == 0 : downstream.write(output)
    }
    recorder.forwarded(
      ranges, of: bytes, arrival, undelivered: isTaken ? nil : downstream.writtenBytes, isLast: parser.isComplete
    )
    if !isTaken { clientQueued() }
  }

  private func clientQueued() { perform(machine.responseForwarded(queued: downstream.queuedBytes)) }

  // MARK: What else upstream does

  /// The upstream socket took bytes that waited for it.
  func clientConnectionDidFlush(_ connection: ClientConnection) { upstreamFlushed() }

  /// The same, also where they were taken at once.
  func upstreamFlushed() { perform(machine.upstreamFlushed(queued: connection?.queuedBytes ?? 0)) }

  func clientConnection(_ connection: ClientConnection, serverDidEnd end: ClientConnectionState.ServerEnd) {
    noteUnanswered()
    perform(machine.upstreamEnded(at: .now(), recorder.progress))
  }

  func clientConnection(_ connection: ClientConnection, didFailWith error: TransportError) {
    noteUnanswered()
    upstreamFailed(error)
  }

  /// Upstream's connection has ended: the pool learns of it where nothing came for this request.
  private func noteUnanswered() {
    if machine.awaitsHead, machine.headStartedAt == nil { connection?.endedUnanswered() }
  }

  /// No connection could be made, or the one there was is lost.
  func upstreamFailed(_ error: TransportError) {
    perform(machine.upstreamFailed(ExchangeFailure(upstream: error), recorder.progress))
  }

  /// Not called: an exchange ends with its response, or hands the stream over.
  func clientConnectionDidReadUnexpectedly(_ connection: ClientConnection) {
    assertionFailure("bytes for an exchange that has ended")
  }

  // MARK: Switching protocols

  /// From here on it is bytes both ways: what upstream sent behind its 101, and the client behind its request, go
  /// first.
  func clientConnection(
    _ connection: ClientConnection, didSwitchProtocolsWith behind: RawSpan, _ arrival: Arrival,
    into output: OutputBuffer
  ) {
    guard let above = self.connection?.handOver() else { return }
    unsafe behind.withUnsafeBytes { unsafe output.append($0) }
    _ = downstream.write(output)
    let (client, early, hasEnded) = downstream.handOver()
    let count = TunnelCount(fromClient: early.count, fromUpstream: behind.byteCount)
    worker.counters.tunnelsOpened.add()
    tunnel = Tunnel(
      worker, client: client, upstream: above, early: early, count: count, settings: configuration.settings,
      upstreamCounters: upstreamCounters, at: arrival.readAt
    ) { [unowned self] end in
      worker.counters.tunnelsClosed.add()
      tunnel = nil
      recorder.tunnelled(end.count)
      perform(machine.tunnelEnded(end.termination, reset: end.reset))
    }
    if hasEnded { tunnel?.streamDidEnd(client) }
  }
}
