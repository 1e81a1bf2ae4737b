// Suggests a valid name for a mistyped one, by edit distance.

/// The Levenshtein distance: how many letters must be added, taken away or changed to turn `left` into `right`.
/// - Returns: nil where it is more than `most`, which most pairs show without being compared.
func editDistance(_ left: String, _ right: String, atMost most: Int) -> Int? {
  guard abs(left.utf8.count - right.utf8.count) <= most else { return nil }
  let left = Array(left.utf8)
  let right = Array(right.utf8)
  var row = Array(0...right.count)
  for (i, leftByte) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    var least = row[0]
    for (j, rightByte) in right.enumerated() {
      let changed = diagonal + (leftByte == rightByte ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(changed, diagonal + 1, row[j] + 1)
      least = min(least, row[j + 1])
    }
    // No later row has less than the least of this one.
    guard least <= most else { return nil }
  }
  return row[right.count] <= most ? row[right.count] : nil
}

/// Which of the dotted `names` was probably meant by `name`; nil where none is near. At most half of the letters that
/// were written may be wrong, not counting a group that exists.
///
/// A name whose last part fits is near too, one step further: `queue` at the top was meant for `records.queue`.
func nearestName(to name: String, among names: [String]) -> String? {
  let written = name.lowercased()
  let group = written.lastIndex(of: ".").map { written[...$0] } ?? ""
  let isGroup = names.contains { $0.hasPrefix(group) }
  let most = (isGroup ? written.dropFirst(group.count) : written[...]).utf8.count / 2
  let distances = names.compactMap { candidate -> (name: String, steps: Int)? in
    let whole = editDistance(written, candidate, atMost: most)
    let last = candidate.lastIndex(of: ".").map { String(candidate[candidate.index(after: $0)...]) }
    let part = last.flatMap { editDistance(written, $0, atMost: most - 1) }.map { $0 + 1 }
    return [whole, part].compactMap { $0 }.min().map { (candidate, $0) }
  }
  return distances.min { $0.steps < $1.steps }?.name
}
