// Suggests a valid name for a mistyped one, by edit distance.

/// The Levenshtein distance: how many letters must be added, taken away or changed to turn `left` into `right`.
func editDistance(_ left: String, _ right: String) -> Int {
  let left = Array(left.utf8)
  let right = Array(right.utf8)
  var row = Array(0...right.count)
  for (i, leftByte) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, rightByte) in right.enumerated() {
      let changed = diagonal + (leftByte == rightByte ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(changed, diagonal + 1, row[j] + 1)
    }
  }
  return row[right.count]
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
  let distances = names.map { candidate in
    let last = candidate.split(separator: ".").last.map(String.init) ?? candidate
    return (name: candidate, steps: min(editDistance(written, candidate), editDistance(written, last) + 1))
  }
  return distances.filter { $0.steps <= most }.min { $0.steps < $1.steps }?.name
}
