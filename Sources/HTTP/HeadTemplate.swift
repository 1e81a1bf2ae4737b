// What heads share that differ in the values of a few fields only.
// It must not judge a head.

/// What heads share that differ in nothing but the values of a few fields; what they were judged to say is `RequestTemplate`'s and
/// `ResponseTemplate`'s.
package class HeadTemplate {
  /// The fields whose values may differ, by their place, in order.
  package private(set) var varying: [Int] = []
  /// The one of them that says how long the body is.
  package private(set) var length: Int?
  /// What whoever read the first of them made of it, to be found with the next.
  package var metadata: AnyObject? {
    get { made }
    set { made = newValue }
  }
  /// The metadata, where nobody outside can reach them: what others might be using is checked at each look.
  private var made: AnyObject?
  /// Where everything stands in the one of them that was found last. Most ids and dates are as long as the one before, and
  /// then everything stands where it stood.
  private var newest: [Field] = []

  /// Learns what may differ; while there is but one head of the kind.
  package func vary(in places: [Int], of fields: Fields) {
    varying = places
    length = places.first { fields.list[$0].kind == .contentLength }
  }

  /// Where everything stands in a head like the one that `list` is of, with `values` where they differ.
  package func list(like list: [Field], _ values: UnsafePointer<Range<Int>>) -> [Field] {
    if newest.isEmpty { newest = list }
    for place in varying.indices where unsafe newest[varying[place]].value != values[place] {
      unsafe newest = Self.shifted(list, varying, values)
      break
    }
    return newest
  }

  private static func shifted(
    _ list: [Field], _ varying: [Int], _ values: UnsafePointer<Range<Int>>
  ) -> [Field] {
    var (shift, next) = (0, 0)
    return list.enumerated().map { index, field in
      var field = field
      field.name = field.name.shifted(by: shift)
      if next < varying.count, varying[next] == index {
        shift = unsafe values[next].upperBound - field.value.upperBound
        field.value = unsafe values[next]
        next += 1
      } else {
        field.value = field.value.shifted(by: shift)
      }
      return field
    }
  }
}

extension Range<Int> {
  /// The same places with `shift` bytes more before them.
  fileprivate func shifted(by shift: Int) -> Range<Int> { lowerBound + shift..<upperBound + shift }
}
