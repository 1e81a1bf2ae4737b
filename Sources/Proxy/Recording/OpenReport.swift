// One worker's answer to the question which exchanges are open, while it is put together.
import RecordLog

/// The records found so far, and the clients that have yet to be asked.
struct OpenReport {
  let round: Int
  private(set) var records: [OpenRecord] = []
  private var clients: [DownstreamConnection]

  init(round: Int, clients: [DownstreamConnection]) {
    self.round = round
    self.clients = clients
  }

  /// Asks the next few clients: a record takes some microseconds, and thousands of streams must not wait for all.
  /// - Returns: whether there are more.
  mutating func readShare() -> Bool {
    var encoder = RecordEncoder(capacity: 4 * 1024)
    for client in clients.suffix(ClientList.shareSize) {
      if let record = client.exchange?.openRecord(&encoder) { records.append(record) }
    }
    clients.removeLast(min(clients.count, ClientList.shareSize))
    return !clients.isEmpty
  }
}
