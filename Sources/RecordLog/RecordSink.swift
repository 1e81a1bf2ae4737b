// Where a log's lines go: what a destination must do. A new destination is one file with a type of this protocol, and one
// line in `makeSink`.

/// A destination of lines. The writer's thread makes it, uses it alone, and may block in it no longer than a disk takes.
///
/// The writer passes batches of whole lines and goes on from the byte that the sink accepted last. After an error or a
/// reopening it starts again with the first line that was not accepted whole: a sink that keeps parts of lines must end
/// the part that it has before it accepts anything else.
protocol RecordSink: AnyObject {
  /// What messages to the operator call it.
  var name: String { get }
  /// False before the first `open`, and where an error has closed it: the writer then opens it again.
  var isOpen: Bool { get }
  /// Whether opening it again can lead elsewhere. Where it cannot, a request to open it again does nothing.
  var hasPath: Bool { get }
  /// A descriptor that becomes writable when more is accepted; nil: the writer tries again after its retry interval.
  var writability: Int32? { get }

  /// Opens it, or opens it again after its path was renamed. Where that fails, what was open stays in use.
  func open() throws(RecordSinkError)
  /// Accepts the start of `lines`.
  /// - Returns: bytes accepted; 0 where nothing is accepted now and the writer is to try later.
  func write(_ lines: RawSpan) throws(RecordSinkError) -> Int
  /// Passes on what was accepted and is still held. Called after each batch; its records count as written once this has
  /// returned true, and after an error the whole batch is written again.
  /// - Returns: false where the writer is to try later.
  func flush() throws(RecordSinkError) -> Bool
  /// Ends it. Nothing is called after this.
  func close()
}

/// Why a sink could not do what it was asked.
struct RecordSinkError: Error, Equatable {
  /// For the operator: `No space left on device`.
  let description: String
  /// Whether it is to be expected at the start and passes by itself, such as a FIFO whose reader is not there yet: no
  /// reason to refuse to start.
  var isTemporary = false
}

extension RecordWriter.Settings {
  /// The sink that these settings name.
  func makeSink() -> any RecordSink { FileSink(path: path) }
}
