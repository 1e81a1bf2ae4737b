// The WHATWG rules for event streams, each vector at every split, and the bounds on memory.
import Testing

@testable import TokenWire

/// An event as the framing gives it.
private struct Event: Equatable, CustomStringConvertible {
  var name = ""
  var data: String
  var description: String { "\(name)|\(data.debugDescription)" }
}

/// What a stream's framing said.
private struct Framed: Equatable {
  var events: [Event] = []
  /// The event that the end of the stream left unfinished.
  var unfinished: Event?
  var isOverlong = false

  init(_ parts: [ArraySlice<UInt8>], limit: Int = 1 << 20) {
    var machine = ServerSentEvents(limit: limit)
    for part in parts {
      machine.feed(part.span.bytes, &events) { events, name, payload, _ in
        events.append(Event(name: text(name), data: text(payload)))
      }
    }
    isOverlong = machine.hasOverlong
    machine.finish(&unfinished) { unfinished, name, payload, _ in
      unfinished = Event(name: text(name), data: text(payload))
    }
  }
}

private func text(_ bytes: RawSpan) -> String {
  bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
}

/// A stream and the events it is made of.
struct Vector: CustomTestStringConvertible {
  var testDescription: String
  var stream: String
  var data: [String]

  init(_ name: String, _ stream: String, _ data: [String]) {
    testDescription = name
    self.stream = stream
    self.data = data
  }
}

/// After the cases of web-platform-tests/wpt, eventsource/format-*.any.js, written down anew from the rules.
private let vectors = [
  Vector("one byte order mark is dropped", "\u{FEFF}data:1\n\n\u{FEFF}data:2\n\ndata:3\n\n", ["1", "3"]),
  Vector("of two, the second makes the field unknown", "\u{FEFF}\u{FEFF}data:1\n\ndata:2\n\n", ["2"]),
  Vector("a mark alone on its line leaves a blank line", "\u{FEFF}\ndata:1\n\n", ["1"]),
  Vector(
    "comments among data", "data:1\r:\0\n:\r\ndata:2\n:long comment\rdata:3\n:data:fail\r:x\ndata:4\n\n",
    ["1\n2\n3\n4"]),
  Vector("an event without its blank line is none", "retry:1000\ndata:one\n\nid:x\ndata:two", ["one"]),
  Vector("nor with its line ended", "data:one\n\ndata:two\n", ["one"]),
  Vector("empty data, data without a colon", "data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]),
  Vector("an empty event name is none", "event: \ndata:data\n\n", ["data"]),
  Vector("ids do not matter", "id: 1\ndata:1\n\nid\ndata:2\n\nid:a\0b\ndata:3\n\n", ["1", "2", "3"]),
  Vector("retries do not matter", "retry:300\nretry:x\nretry\ndata:x\n\n", ["x"]),
  Vector(
    "fields by the letter",
    "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
    ["\0\n 2\n1\n3\n\n4"]),
  Vector(
    "unknown fields", "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:comment\ndata:test\n\n", ["test\n\ntest"]),
  Vector("one space is dropped, a tab is not", "data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
  Vector("two spaces leave one", "data:  x\n\n", [" x"]),
  Vector("line ends of all kinds, a CR at the very end", "data:test\r\ndata\ndata:test\r\n\r", ["test\n\ntest"]),
  Vector("only CR", "data:1\r\rdata:2\r\r", ["1", "2"]),
  Vector("only CRLF", "data:1\r\n\r\ndata:2\r\n\r\n", ["1", "2"]),
  Vector("a NUL is data", "data:\0\n\n\n\n", ["\0"]),
  Vector("UTF-8 of all lengths", "data:aé€😀\n\n", ["aé€😀"]),
  Vector("Unicode's own line ends end no line", "data:a\u{2028}b\u{2029}c\u{85}d\n\n", ["a\u{2028}b\u{2029}c\u{85}d"]),
  Vector("blank lines without data are nothing", "\n\n:\n\nid:1\n\nevent:x\n\ndata:1\n\n\n\ndata:2\n\n", ["1", "2"]),
  Vector("a space before the line's end stays", "data: {} \n\n", ["{} "]),
  Vector("colons in the value", "data:a:b: c\n\n", ["a:b: c"]),
]

@Suite("ServerSentEvents")
struct ServerSentEventsTests {
  @Test("Each vector gives its events, whole, byte by byte and at every split", arguments: vectors)
  func vector(vector: Vector) {
    let bytes = Array(vector.stream.utf8)
    #expect(Framed([bytes[...]]).events.map(\.data) == vector.data)
    let whole = Framed([bytes[...]])
    #expect(Framed(bytes.indices.map { bytes[$0...$0] }) == whole)
    for first in 0...bytes.count {
      for second in first...bytes.count {
        let parts = [bytes[..<first], bytes[first..<second], bytes[second...]]
        #expect(Framed(parts) == whole, "cut at \(first) and \(second)")
      }
    }
  }

  @Test("An event's name holds for that event alone")
  func names() {
    let framed = Framed([Array("event:a\ndata:1\n\ndata:2\n\nevent:b\n\ndata:3\nevent: c\nevent:d\n\n".utf8)[...]])
    #expect(
      framed.events == [Event(name: "a", data: "1"), Event(data: "2"), Event(name: "d", data: "3")])
  }

  @Test("What the end leaves unfinished is kept apart")
  func unfinished() {
    for tail in ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r", "event:x\ndata: [DONE]"] {
      let framed = Framed([Array("data:1\n\n\(tail)".utf8)[...]])
      #expect(framed.events == [Event(data: "1")])
      #expect(framed.unfinished?.data == "[DONE]")
    }
    #expect(Framed([Array("data:1\n\n: comment".utf8)[...]]).unfinished == nil)
  }

  @Test(
    "What is longer than the limit is passed over, however the bytes are cut, and what comes behind it is not",
    arguments: [
      "data:0123456789ab\n\n", "data: 0123456789abcdefg\n\n", "data:01234567\ndata:0123456\ndata:8\n\n",
    ])
  func overfull(tail: String) {
    let bytes = Array("data:1\n\n\(tail)data:2\n\n".utf8)
    let whole = Framed([bytes[...]], limit: 16)
    #expect(whole.isOverlong)
    #expect(whole.events == [Event(data: "1"), Event(data: "2")])
    #expect(Framed(bytes.indices.map { bytes[$0...$0] }, limit: 16) == whole)
    for cut in 0...bytes.count { #expect(Framed([bytes[..<cut], bytes[cut...]], limit: 16) == whole) }
  }

  @Test("An event just as long as the limit is taken")
  func limit() {
    let framed = Framed([Array("data:0123456789a\n\n".utf8)[...]], limit: 16)
    #expect(framed.events == [Event(data: "0123456789a")])
    #expect(!framed.isOverlong)
  }

  @Test("Objects in lines of data that follow one another are events, each with the read that ended its line")
  func chained() {
    let stream =
      "data: {\"a\":1}\nid: 7\ndata: {\"a\":2}\nevent: x\ndata:  {\"a\":3} \ndata: [DONE]\n\ndata: {\ndata: }\n\n"
    let bytes = Array(stream.utf8)
    let expected = [
      Event(data: "{\"a\":1}"), Event(data: "{\"a\":2}"), Event(name: "x", data: " {\"a\":3} "),
      Event(name: "x", data: "[DONE]"), Event(data: "{\n}"),
    ]
    for cut in 0...bytes.count {
      #expect(Framed([bytes[..<cut], bytes[cut...]]).events == expected)
    }
    #expect(Framed(bytes.indices.map { bytes[$0...$0] }).events == expected)
    // The last of such lines is an event without its blank line too.
    #expect(Framed([Array("data: {}\ndata: {}\n".utf8)[...]]).events == [Event(data: "{}")])
    #expect(Framed([Array("data: {}\ndata: {}\n".utf8)[...]]).unfinished == Event(data: "{}"))
  }

  @Test("An error may stand in a line of its own")
  func errorLines() {
    let framed = Framed([Array("error: {\"code\":400}\n\ndata: 1\n\nerror: gone\n\n".utf8)[...]])
    #expect(framed.events == [Event(name: "error", data: "{\"code\":400}"), Event(data: "1")])
  }
}
