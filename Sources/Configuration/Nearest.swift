// The valid name that is nearest to one that is not, by edit distance.
// It must not know what the names name.

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

/// Which of the dotted `names` was probably meant by `name`, or nil if there are none.
///
/// A name whose last part fits is near too, one step further: `queue` at the top was meant for `records.queue`.
func nearestName(to name: String, among names: [String]) -> (name: String, distance: Int)? {
  let written = name.lowercased()
  return names.map { candidate in
    let last = candidate.split(separator: ".").last.map(String.init) ?? candidate
    return (candidate, min(editDistance(written, candidate), editDistance(written, last) + 1))
  }.min { $0.1 < $1.1 }
}
