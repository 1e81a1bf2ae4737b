// The environment variables of the process.
import Glibc

/// The process's environment.
public enum Environment {
  /// Every variable, by its name.
  public static var all: [String: String] {
    var variables: [String: String] = [:]
    var next = unsafe environ
    while let entry = unsafe next.pointee {
      let text = unsafe String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      unsafe next = next.successor()
    }
    return variables
  }
}
