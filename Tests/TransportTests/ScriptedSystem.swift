// A system's resolver that the test plays, and what a resolver answers.
import Glibc
import Synchronization

@testable import Transport

/// Stands for the system's resolver: answers what the test gives it, when the test does.
final class ScriptedSystem: Sendable {
  private let lookups = Mutex<[Promise<Result<[SocketAddress], TransportError>>]>([])

  /// Lookups that have begun so far.
  var count: Int { lookups.withLock { $0.count } }

  var lookup: Resolver.Lookup {
    { [self] _, _ in
      let promise = Promise<Result<[SocketAddress], TransportError>>()
      lookups.withLock { $0.append(promise) }
      return promise.wait()
    }
  }

  /// Answers lookup `index`, once it has begun.
  func answer(_ index: Int, _ result: Result<[SocketAddress], TransportError>) {
    while count <= index { sched_yield() }
    lookups.withLock { $0[index] }.fulfill(result)
  }
}

/// Collects what one resolver answers.
final class Answers {
  var hosts: [[String]] = []
  var errors: [TransportError] = []
  var count: Int { hosts.count + errors.count }

  func add(_ result: Result<[SocketAddress], TransportError>) {
    switch result {
    case .success(let addresses): hosts.append(addresses.map(\.host))
    case .failure(let error): errors.append(error)
    }
  }
}
