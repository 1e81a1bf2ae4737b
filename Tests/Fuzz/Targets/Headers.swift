// The PROXY protocol's header, which stands before everything that a client says of itself.
import Transport

/// What became of a connection's first bytes.
private struct Parsed: Equatable {
  var client: SocketAddress?
  /// Where the header ends; nil where it did not.
  var end: Int?
  var error: ProxyHeaderError?
}

private func parse(_ pieces: [ArraySlice<UInt8>]) -> Parsed {
  var parsed = Parsed()
  var parser = ProxyHeaderParser()
  var before = 0
  for piece in pieces {
    do throws(ProxyHeaderError) {
      if let header = try unsafe parser.parse(piece.span.bytes) {
        parsed.client = header.client
        parsed.end = before + header.consumed
        return parsed
      }
    } catch {
      parsed.error = error
      return parsed
    }
    before += piece.count
  }
  return parsed
}

/// The same header however it is cut, and its end within the bytes.
func checkProxyHeader(_ bytes: [UInt8], _ run: FuzzRun) throws(Finding) {
  let whole = parse([bytes[...]])
  for way in run.ways(bytes) {
    let parsed = parse(way)
    try hold(parsed == whole, "split otherwise: \(parsed) in place of \(whole)")
  }
  if let end = whole.end { try hold((1...bytes.count).contains(end), "a header of \(end) bytes") }
}
