// What a page of metrics looks like, and where values fall in buckets.
import Glibc
import Metrics
import Testing

@Suite("Expositions") struct ExpositionTests {
  @Test("A family has its help, its type and its samples, in this order")
  func family() {
    var page = Exposition()
    page.family("apples_total", .counter, "Apples that fell.")
    page.sample(3, ["kind": "red"])
    page.sample(4, ["kind": nil])
    #expect(
      page.text == """
        # HELP apples_total Apples that fell.
        # TYPE apples_total counter
        apples_total{kind="red"} 3
        apples_total 4

        """)
  }

  @Test("Backslashes, quotes and line feeds in a label's value are escaped, and everything else stays as it is")
  func escaping() {
    var page = Exposition()
    page.family("models", .gauge, "one\ntwo \\ three")
    page.sample(1, ["model": "a\"b\\c\nd é \"\u{301} {x=1}"])
    let lines = page.text.split(separator: "\n")
    #expect(lines[0] == "# HELP models one\\ntwo \\\\ three")
    #expect(Array(lines[2].utf8) == Array("models{model=\"a\\\"b\\\\c\\nd é \\\"\u{301} {x=1}\"} 1".utf8))
  }

  @Test(
    "Each of the three is escaped where it stands alone", arguments: [("\\", "\\\\"), ("\"", "\\\""), ("\n", "\\n")])
  func escapingOne(value: String, escaped: String) {
    var page = Exposition()
    page.family("models", .gauge, "Models.")
    page.sample(1, ["model": "a\(value)b"])
    #expect(page.text.hasSuffix("models{model=\"a\(escaped)b\"} 1\n"))
  }

  @Test("Buckets are cumulative, +Inf is the count, and the sum is in seconds")
  func histogram() {
    let counter = BucketCounter(Buckets(seconds: [0.001, 0.0025, 1]))
    counter.add(1_000_000)
    counter.add(1_000_001, times: 2)
    counter.add(-5)
    counter.add(3_000_000_000)
    var page = Exposition()
    page.family("wait_seconds", .histogram, "Waits.")
    let counts = counter.counts
    page.histogram(counts, ["model": "m"])
    #expect(
      page.text.split(separator: "\n").dropFirst(2).joined(separator: "\n") == """
        wait_seconds_bucket{model="m",le="0.001"} 2
        wait_seconds_bucket{model="m",le="0.0025"} 4
        wait_seconds_bucket{model="m",le="1.0"} 4
        wait_seconds_bucket{model="m",le="+Inf"} 5
        wait_seconds_sum{model="m"} 3.003000002
        wait_seconds_count{model="m"} 5
        """)
  }

  @Test("Every value falls under the first bound that is not below it, at each power of two and beside each bound")
  func places() {
    let seconds = [0.000_001, 0.000_005, 0.001, 0.0125, 0.5, 0.75, 1, 80, 2_621.44]
    let bounds = seconds.map { Int64(($0 * 1e9).rounded()) }
    var values: [Int64] = [0, .max]
    values += bounds.flatMap { [$0 - 1, $0, $0 + 1] }
    values += (0..<63).flatMap { [(1 << $0) - 1, 1 << $0, (1 << $0) + 1] }
    for value in values {
      let counter = BucketCounter(Buckets(seconds: seconds))
      counter.add(value)
      let expected = bounds.firstIndex { $0 >= value } ?? bounds.count
      let counts = counter.counts.inBucket
      #expect(counts.firstIndex(of: 1) == expected, "\(value)")
    }
  }

  @Test("Counts by the same bounds add up")
  func merging() {
    let buckets = Buckets(seconds: [1, 2])
    let one = BucketCounter(buckets)
    let other = BucketCounter(buckets)
    one.add(500_000_000)
    other.add(1_500_000_000)
    other.add(2_500_000_000)
    var sum = one.counts
    sum.merge(other.counts)
    #expect(sum.inBucket == [1, 1, 1])
    #expect(sum.sum == 4_500_000_000)
    #expect(sum.count == 3)
  }

  @Test("The process's own metrics are there, and its descriptors and memory are not nothing")
  func process() throws {
    var page = Exposition()
    ProcessFacts.collect(into: &page)
    let now = Double(time(nil))
    for name in [
      "process_cpu_seconds_total", "process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds",
      "process_max_fds",
    ] {
      let line = try #require(page.text.split(separator: "\n").first { $0.hasPrefix("\(name) ") })
      #expect(Double(line.split(separator: " ")[1]) ?? -1 > 0 || name == "process_cpu_seconds_total", "\(line)")
      if name == "process_start_time_seconds" {
        let started = try #require(Double(line.split(separator: " ")[1]))
        #expect(started <= now + 2 && started > now - 86_400, "\(started), and now is \(now)")
      }
    }
  }
}
