// provisional
public struct StampClock {
  private var anchor: WallAnchor
  public init(anchor: WallAnchor) { self.anchor = anchor }
  public mutating func reanchor(_ anchor: WallAnchor) { self.anchor = anchor }
  public func arrival(stamp: Int64?, readAt: Instant, notBefore: Instant?) -> Arrival {
    guard let stamp else { return Arrival(at: readAt, readAt: readAt, source: .loop) }
    let at = anchor.instant.advanced(byNanoseconds: stamp - anchor.realtimeNanoseconds)
    return Arrival(at: min(at, readAt), readAt: readAt, source: .kernel)
  }
}
