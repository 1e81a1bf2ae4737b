// What an exchange does with what upstream sends: heads and bodies on to the client, and a tunnel behind a 101.
import Clocks
import HTTP
import HTTP1
import Measurement
import Transport

extension Exchange {
  /// Bytes from upstream: sent on first, decoded afterwards.
  func upstreamRead(
    _ connection: UpstreamConnection, _ bytes: RawSpan, _ arrival: Arrival, into output: OutputBuffer
  ) {
    let (worker, parser, ranges) = (worker, connection.parser, worker.ranges)
    activeAt = arrival.readAt
    machine.responseBytesArrived(at: arrival.at)
    var rest = bytes
    var failure: HTTPParseError?
    var surplus = 0
    parsing: while true {
      let (consumed, progress) =
        machine.awaitsHead ? connection.parseHead(rest, into: ranges) : parser.parse(rest, into: ranges)
      switch progress {
      case .headComplete:
        do throws(HTTPParseError) {
          try forwardHead(connection, arrival, into: output)
        } catch {
          failure = error
          break parsing
        }
        rest = rest.extracting(consumed..<rest.byteCount)
        if machine.isTunnelling { return beginTunnel(rest, arrival, output) }
      case .messageComplete where machine.awaitsHead:
        // A 1xx is a message of its own.
        machine.interimCompleted(nextAt: consumed < rest.byteCount ? arrival.at : nil)
        parser.reset()
        parser.answersHead = machine.traits.isHead
        rest = rest.extracting(consumed..<rest.byteCount)
      case .needsMore:
        break parsing
      case .messageComplete:
        surplus = rest.byteCount - consumed
        rest = rest.extracting(0..<consumed)
        break parsing
      case .failed(let error):
        failure = error
        break parsing
      }
    }
    deliver(ranges, by: parser, of: rest, isBroken: failure != nil, arrival, output)
    if let failure {
      worker.counters.refused(failure, from: .upstream)
      perform(machine.responseInvalid(failure, recorder.progress))
    } else if parser.isComplete {
      perform(machine.responseCompleted(hasSurplus: surplus > 0, queued: connection.queuedBytes, at: arrival.at))
    }
  }

  /// Puts a head that is complete together for the client, if it is to have it.
  private func forwardHead(
    _ connection: UpstreamConnection, _ arrival: Arrival, into output: OutputBuffer
  ) throws(HTTPParseError) {
    let worker = worker
    let (head, metadata) = try connection.completedHead(configuration)
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
      head.write(
        to: output, client11: isVersion11, closing: false, policy: configuration.forwarding)
      requestBuffer.dropHead()
      recorder.switchedProtocols(head, firstByteAt: firstByteAt, completeAt: arrival.at)
    case .forwardFinal(let closing):
      metadata.write(head, client11: isVersion11, closing: closing, to: output)
      requestBuffer.dropHead()
      recorder.responseHead(head, metadata, firstByteAt: firstByteAt, completeAt: arrival.at)
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

  /// Upstream ended its side.
  func upstreamEnded(at: Instant) { perform(machine.upstreamEnded(at: at, recorder.progress)) }

  /// No connection could be made, or the one there was is lost.
  func upstreamFailed(_ error: TransportError) {
    perform(machine.upstreamFailed(ExchangeFailure(upstream: error), recorder.progress))
  }

  // MARK: Switching protocols

  /// From here on it is bytes both ways: what upstream sent behind its 101, and the client behind its request, go
  /// first.
  private func beginTunnel(_ behind: RawSpan, _ arrival: Arrival, _ output: OutputBuffer) {
    guard let above = upstream?.handOver() else { return }
    unsafe behind.withUnsafeBytes { unsafe output.append($0) }
    _ = downstream.write(output)
    let (client, early, hasEnded) = downstream.handOver()
    let count = TunnelCount(fromClient: early.count, fromUpstream: behind.byteCount)
    worker.counters.tunnelsOpened.add()
    tunnel = Tunnel(
      worker, client: client, upstream: above, early: early, count: count, settings: configuration.settings,
      upstreamCounters: chosenUpstream.counters, at: arrival.readAt
    ) { [unowned self] end in
      worker.counters.tunnelsClosed.add()
      tunnel = nil
      recorder.tunnelled(end.count)
      perform(machine.tunnelEnded(end.termination, reset: end.reset))
    }
    if hasEnded { tunnel?.streamDidEnd(client) }
  }
}
