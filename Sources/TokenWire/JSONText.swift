// Comparing strings inside a JSON text where they stand.
import Glibc
import JSON

extension JSONValue {
  /// Whether this is a string that begins with `word`.
  func hasPrefix(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    let found: Bool? = unsafe withUTF8 { utf8 in
      guard utf8.count >= count, let start = utf8.baseAddress else { return false }
      return unsafe memcmp(start, word.utf8Start, count) == 0
    }
    return found == true
  }

  /// Whether this is a string that ends in `word`.
  func hasSuffix(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    let found: Bool? = unsafe withUTF8 { utf8 in
      guard utf8.count >= count, let start = utf8.baseAddress else { return false }
      return unsafe memcmp(start + (utf8.count - count), word.utf8Start, count) == 0
    }
    return found == true
  }

  /// Whether this is a string that has `word` in it.
  func contains(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    let found: Bool? = unsafe withUTF8 { utf8 in
      guard let start = utf8.baseAddress, utf8.count >= count else { return false }
      for offset in 0...(utf8.count - count) where unsafe memcmp(start + offset, word.utf8Start, count) == 0 {
        return true
      }
      return false
    }
    return found == true
  }
}
