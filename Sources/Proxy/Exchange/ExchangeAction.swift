// The actions of an exchange: the only output of the exchange machine.
import Clocks
import HTTP
import Measurement

/// The one thing to do about an event.
enum ExchangeAction: Equatable {
  case none
  /// Ask for a permit; `permitGranted`, `permitQueued` or `permitRefused` follows.
  case acquirePermit
  /// Take an upstream connection: any, or one that has carried nothing before. `connected` or `upstreamFailed` follows.
  case connect(fresh: Bool)
  /// Close upstream's connection, put the kept head back into the request buffer, and connect anew.
  case retry
  /// Send what the request buffer holds.
  case sendBufferedRequest
  /// Stop reading the request, or go on.
  case pauseUpload, resumeUpload
  /// Stop reading the response, or go on.
  case pauseUpstream, resumeUpstream
  /// Count the error; `requestInvalid` follows.
  case refuseRequest(HTTPParseError)
  /// The whole response has come and was sent on; `clientFlushed` follows.
  case completeResponse(ResponseCompletion)
  /// Close what is left of upstream, submit the record, and leave the client's connection. Where the termination is nil,
  /// everything was forwarded, and the recorder finds out how the exchange ended.
  case end(Termination?, ClientEnding)
}

/// What to do behind a whole response.
struct ResponseCompletion: Equatable {
  /// Give upstream's connection to the pool, or close it.
  var reusesUpstream: Bool
  /// Where upstream ended the body by its close: the framing in which the end is to be sent to the client.
  var endsBody: BodyFraming?
  /// When the last byte came.
  var at: Instant
}

/// What to do about one of upstream's heads.
enum HeadAction: Equatable {
  /// Keep it from the client.
  case drop
  case forwardInterim
  /// Forward it; `closing` where it is to say that the client's connection ends with this response.
  case forwardFinal(closing: Bool)
  /// Send the 101 on, and join both connections in a tunnel.
  case switchProtocols
  /// Treat it as an invalid response; `responseInvalid` follows.
  case refuse(HTTPParseError)
}

/// How an exchange leaves its client's connection.
enum ClientEnding: Equatable {
  /// Ready for the next request.
  case keep
  /// To be closed once all is sent; what the client still sends is read and dropped for a moment, since closing over
  /// unread bytes would reset the connection and take the response along (RFC 9112 §9.6).
  case closeLingering
  /// The same, behind a reply of the proxy's own.
  case reply(ExchangeFailure)
  /// A response that was cut short, to be closed once all is sent: the client must not take it for whole.
  case truncate(reset: Bool)
  /// To be closed now: the client has gone, takes nothing, or had a tunnel.
  case close(reset: Bool)
}
