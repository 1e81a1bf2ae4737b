// The inputs of the exchange machine, made from heads and settings.
import HTTP

extension ExchangeMachine.RequestTraits {
  /// - Parameter offersUpgrade: whether the request's offer to switch protocols is forwarded.
  init(_ head: RequestHead, offersUpgrade: Bool) {
    isVersion11 = head.isVersion11
    keepsAlive = head.keepsAlive
    isHead = head.method == .head
    isSafe = head.method.isSafe
    framing = head.framing
    expectsContinue = head.expectsContinue
    self.offersUpgrade = offersUpgrade
  }
}

extension ExchangeMachine.Limits {
  init(_ configuration: ConfigurationSnapshot, _ upstream: Upstream) {
    highWatermark = configuration.settings.buffers.highWatermarkBytes
    lowWatermark = configuration.settings.buffers.lowWatermarkBytes
    interimBytes = configuration.responseLimits.headBytes
    requestBodyBytes = configuration.settings.limits.requestBodyBytes
    needsPermit = upstream.settings.inFlight != nil
  }
}

extension ResponseTraits {
  /// - Parameter offer: what the request offered to switch to.
  init(_ head: ResponseHead, _ offer: UpgradeOffer?) {
    status = head.status
    headBytes = head.fields.bytes.count
    framing = head.framing
    takesUpOffer = head.takesUp(offer)
  }
}
