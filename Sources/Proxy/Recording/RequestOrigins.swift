// Who sent a request, found by the values of the fields that say so.
import HTTP
import Measurement

/// Finds `RequestOrigin`s, and keeps those found last: reading one costs more than all else that a cached head costs.
/// Confined to its worker's thread.
///
/// It holds no credential: what is kept is found by a keyed hash of the values.
final class RequestOrigins {
  /// The fields of one kind of head that say who sends it.
  struct Places {
    /// Which of the configured names, and the index of the head's first field that has it.
    fileprivate let places: [(name: Int, field: Int)]

    /// Whether one of them is among `fields`, which are in ascending order.
    func intersects(_ fields: [Int]) -> Bool { places.contains { fields.contains($0.field) } }
  }

  /// Origins kept, at most (twice this for a moment).
  private static let limit = 2_048

  private let secret: KeySecret
  private let reader: UniqueBox<IdentityReader>
  private var names: [String]
  /// Two generations, as in `KeyFingerprints`.
  private var young: [KeyedHash: RequestOrigin] = [:]
  private var old: [KeyedHash: RequestOrigin] = [:]

  init(_ rules: IdentityRules, _ secret: KeySecret) {
    self.secret = secret
    reader = UniqueBox(IdentityReader(rules, secret: secret))
    names = rules.fields
  }

  /// Takes over other rules. What was found by the former ones is dropped.
  func apply(_ rules: IdentityRules) {
    reader.value = IdentityReader(rules, secret: secret)
    names = rules.fields
    young = [:]
    old = [:]
  }

  /// Where the fields are in heads like this one.
  func places(in head: RequestHead) -> Places {
    Places(
      places: names.indices.compactMap { name in
        head.fields.firstIndex(named: names[name]).map { (name, $0) }
      })
  }

  /// Who sent `head`, which has the fields at `places`.
  func origin(of head: RequestHead, at places: Places) -> RequestOrigin {
    var hash = KeyedHash.Hasher()
    for (name, field) in places.places {
      hash.combine(name)
      hash.combine(head.fields.bytes[head.fields.list[field].value])
    }
    let key = hash.finalize()
    if let known = young[key] { return known }
    let origin = old[key] ?? reader.value.read { head.fields.firstValue(named: $0) }
    if young.count >= Self.limit {
      old = young
      young = [:]
    }
    young[key] = origin
    return origin
  }

  /// Origins kept now.
  var count: Int { young.count + old.count }
}
