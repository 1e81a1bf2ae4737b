// The operator's log: short messages about the proxy itself, never about the content of an exchange.
import Synchronization

/// The operator's log. From any thread; no call waits for the place where the lines go.
public final class Log: Sendable {
  /// How much a message matters, in rising order.
  public enum Level: Int, Comparable, Sendable {
    case debug
    case info
    case warning
    case error

    /// Whether `left` matters less.
    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  /// One message: a single line of printable text.
  public struct Entry: Hashable, Sendable {
    /// How much it matters.
    public var level: Level
    /// Its text, without a newline.
    public var message: String

    /// Control characters in `message` are written out as `\x1b`: a name that a client has sent cannot begin a line of
    /// its own or steer a terminal.
    public init(level: Level, message: String) {
      self.level = level
      self.message = Self.printable(message)
    }
  }

  /// The least level that is logged.
  public let level: Level
  private let sink: any LogSink
  private let usedKeys = Mutex<Set<String>>([])

  /// Makes a log that passes messages of `level` and above to `sink`.
  public init(level: Level = .info, sink: any LogSink) {
    self.level = level
    self.sink = sink
  }

  /// Logs a message. It is not built where its level is not logged.
  public func log(_ level: Level, _ message: @autoclosure () -> String) {
    guard level >= self.level else { return }
    sink.accept(Entry(level: level, message: message()))
  }

  /// Logs a message that helps to find a fault in the program.
  public func debug(_ message: @autoclosure () -> String) { log(.debug, message()) }

  /// Logs what is normal and worth knowing.
  public func info(_ message: @autoclosure () -> String) { log(.info, message()) }

  /// Logs what the operator should look at when there is time.
  public func warning(_ message: @autoclosure () -> String) { log(.warning, message()) }

  /// Logs what has failed.
  public func error(_ message: @autoclosure () -> String) { log(.error, message()) }

  /// Logs the first message with `key`; later ones are dropped.
  /// - Parameter key: one of a fixed set (every key is kept), so never text that a client has sent.
  public func once(_ key: String, _ level: Level, _ message: @autoclosure () -> String) {
    guard level >= self.level, usedKeys.withLock({ $0.insert(key).inserted }) else { return }
    log(level, message())
  }

  /// Messages that the sink dropped because it was full.
  public var droppedMessages: Int { sink.droppedMessages }

  /// Waits until the sink has written what it has accepted, at most `milliseconds`. Not on a worker's thread.
  public func flush(milliseconds: Int) { sink.flush(milliseconds: milliseconds) }
}

/// Where a log's messages go.
public protocol LogSink: Sendable {
  /// Accepts a message. Called from any thread; must not block.
  func accept(_ entry: Log.Entry)
  /// Messages that could not be accepted or written.
  var droppedMessages: Int { get }
  /// Waits until everything accepted is written, at most `milliseconds`.
  func flush(milliseconds: Int)
}

extension LogSink {
  /// None, for a sink that never drops.
  public var droppedMessages: Int { 0 }
  /// Returns at once, for a sink that writes while it accepts.
  public func flush(milliseconds: Int) {}
}

extension Log.Entry {
  private static func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if isControl(scalar) {
        result += scalar.value < 0x100 ? "\\x" + hexadecimal(scalar, 2) : "\\u{" + hexadecimal(scalar, 4) + "}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func hexadecimal(_ scalar: Unicode.Scalar, _ digits: Int) -> String {
    let text = String(scalar.value, radix: 16)
    return String(repeating: "0", count: max(digits - text.utf8.count, 0)) + text
  }

  /// Controls, what ends a line, and what turns the direction of text.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: scalar.value != 0x200D
    default: false
    }
  }
}
