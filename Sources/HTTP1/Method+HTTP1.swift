// Methods by llhttp's numbers.
import CLLHTTP
import HTTP

extension Method {
  /// The method that `llhttp_t.method` stands for; nil for one that is not forwarded.
  init?(llhttp number: UInt8) {
    guard let method = number < Self.byNumber.count ? Self.byNumber[Int(number)] : nil else { return nil }
    self = method
  }

  /// By llhttp's own names, so that none can be missing or stand for another.
  private static let byNumber: [Method?] = (0...HTTP_QUERY.rawValue).map { number in
    unsafe llhttp_method_name(llhttp_method_t(rawValue: number)).flatMap {
      unsafe Method(rawValue: String(cString: $0))
    }
  }
}
