// The words of a server without a model: the same token number is always the same word.

/// Tokens as texts: mostly plain, some of several UTF-8 bytes, one with a character that JSON escapes.
enum Vocabulary {
  private static let words: [String] = [
    "The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", ".", " It", " is", " na\u{EF}ve",
    " of", " \u{6771}\u{4EAC}", ",", " they", " say", ":", "\n", " caf\u{E9}", " and", " \u{1F98A}", " so", " on", ".",
  ]
  private static let escaped: [[UInt8]] = words.map { word in
    var bytes: [UInt8] = []
    bytes.append(jsonString: word)
    return Array(bytes.dropFirst().dropLast())
  }

  /// The text of token `index`, escaped for a JSON string.
  static func appendEscaped(_ index: Int, to output: inout [UInt8]) {
    output.append(contentsOf: escaped[index % escaped.count])
  }

  /// The text of the first `count` tokens.
  static func text(_ tokens: Range<Int>) -> String { tokens.map { words[$0 % words.count] }.joined() }
}
