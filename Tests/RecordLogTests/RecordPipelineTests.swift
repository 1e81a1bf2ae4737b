// The pipeline by itself: what a sink has accepted after any sequence of pieces, errors and batches.
import Measurement
import Testing

@testable import RecordLog

/// A pipeline, and what a sink has accepted from it.
private struct Driver: ~Copyable {
  var pipeline = RecordPipeline()
  var text = ""
  var written = 0

  mutating func load(_ numbers: Range<Int>, drops: Int = 0) {
    pipeline.exchangeBatch { batch in
      batch = numbers.map { QueuedRecord(filling: record($0)) }
      return drops
    }
  }

  /// Lets the sink accept at most `bytes`, in pieces of at most `piece`; flushes where all is accepted.
  mutating func run(upTo bytes: Int = .max, piece: Int = .max) {
    var left = bytes
    while true {
      switch pipeline.nextStep {
      case .needsBatch: return
      case .encode: pipeline.encode(instance: "test") { 5_000_000_000 }
      case .flush: written += pipeline.markFlushed()
      case .write:
        guard left > 0 else { return }
        let taken = pipeline.withUnacceptedLines { lines in
          lines.withUnsafeBytes { Array($0.prefix(min(left, piece))) }
        }
        text += String(decoding: taken, as: UTF8.self)
        left -= taken.count
        pipeline.markAccepted(taken.count)
      }
    }
  }
}

private func expectedText(_ numbers: Range<Int>) -> String { numbers.map { line(record($0)) }.joined() }

private func notice(_ drops: Int) -> String {
  #"{"v":1,"dropped":\#(drops),"ts":"1970-01-01T00:00:05.000000Z","instance":"test"}"# + "\n"
}

@Suite("RecordPipeline")
struct RecordPipelineTests {
  @Test("Lines are whole and in order, whatever pieces the sink accepts", arguments: [1, 7, 1_000, Int.max])
  func pieces(piece: Int) {
    var driver = Driver()
    for batch in [0..<5, 5..<6, 6..<9] {
      driver.load(batch)
      driver.run(piece: piece)
    }
    let text = driver.text
    #expect(text == expectedText(0..<9))
    let records = driver.written
    #expect(records == 9)
    let hasWork = driver.pipeline.hasWork
    #expect(!hasWork)
  }

  @Test("A batch that is longer than one write is written to its end, in order")
  func longBatch() {
    var driver = Driver()
    driver.load(0..<1_000)
    driver.run()
    let text = driver.text
    #expect(text.utf8.count > 2 * 256 * 1_024)
    #expect(text == expectedText(0..<1_000))
    let records = driver.written
    #expect(records == 1_000)
  }

  @Test("After an error the line that was cut comes again whole, wherever it was cut")
  func restartLine() {
    let lengths = (0..<3).map { line(record($0)).utf8.count }
    for place in 0...lengths.reduce(0, +) {
      var driver = Driver()
      driver.load(0..<3)
      driver.run(upTo: place)
      // What is before the cut line stays accepted.
      let whole = [0, 1, 2, 3].last { lengths[..<$0].reduce(0, +) <= place } ?? 0
      let accepted = driver.pipeline.recordsAccepted
      #expect(accepted == (whole == 3 ? 0 : whole), "all three are counted as written already")
      driver.pipeline.restartLine()
      driver.run()
      let start = expectedText(0..<3).prefix(place)
      let text = driver.text
      #expect(text == start + expectedText(whole..<3), "cut at \(place)")
      let records = driver.written
      #expect(records == 3)
    }
  }

  @Test("A sink that lost what it held gets the lines again from the first, and they are counted once")
  func restartLines() {
    var driver = Driver()
    driver.load(0..<3)
    driver.run(upTo: line(record(0)).utf8.count + 5)
    driver.pipeline.restartLines()
    driver.text = ""
    driver.run()
    let text = driver.text
    #expect(text == expectedText(0..<3))
    let records = driver.written
    #expect(records == 3)
  }

  @Test("Records count as written once the sink has flushed them")
  func flush() {
    var driver = Driver()
    driver.load(0..<2)
    driver.pipeline.encode(instance: "test") { 0 }
    driver.pipeline.markAccepted(expectedText(0..<2).utf8.count)
    let before = (driver.pipeline.nextStep, driver.pipeline.recordsAccepted)
    #expect(before == (.flush, 2))
    let written = driver.pipeline.markFlushed()
    #expect(written == 2)
    let after = (driver.pipeline.nextStep, driver.pipeline.recordsAccepted)
    #expect(after == (.needsBatch, 0))
  }

  @Test("Each lot of drops has one notice, behind the records that came before them, with its own number")
  func notices() {
    var driver = Driver()
    driver.load(0..<2, drops: 3)
    driver.run()
    driver.load(2..<3)
    driver.run()
    driver.load(3..<4, drops: 2)
    driver.run()
    driver.load(4..<4, drops: 1)
    driver.run()
    let text = driver.text
    #expect(text == expectedText(0..<2) + notice(3) + expectedText(2..<3) + expectedText(3..<4) + notice(2) + notice(1))
    let records = driver.written
    #expect(records == 4, "a notice is no record")
  }

  @Test("Behind a batch that takes several writes its notice stands once, at the end")
  func noticeOfLongBatch() {
    var driver = Driver()
    driver.load(0..<1_000, drops: 3)
    driver.run()
    let text = driver.text
    #expect(text == expectedText(0..<1_000) + notice(3))
  }

  @Test("A notice that was cut comes again whole, and is no record among those accepted")
  func cutNotice() {
    var driver = Driver()
    driver.load(0..<1, drops: 3)
    driver.run(upTo: line(record(0)).utf8.count + 4)
    let accepted = driver.pipeline.recordsAccepted
    #expect(accepted == 1)
    driver.pipeline.restartLine()
    driver.run()
    let text = driver.text
    #expect(text == expectedText(0..<1) + notice(3).prefix(4) + notice(3))
    let records = driver.written
    #expect(records == 1)
  }
}
