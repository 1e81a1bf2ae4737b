// The secret of the fingerprints of API keys: from the environment, from a file that is named, or one of our own.
import Measurement
import SettingValues

/// Where the secret comes from.
enum IdentitySecret {
  /// The secret, and a warning where it ends with the process: no place to keep one is no reason not to serve.
  /// - Throws: `ServiceFailure` where one was given and cannot be used, or the one that was kept can not.
  static func load(
    _ settings: Settings, variable: String?
  ) throws(ServiceFailure) -> (secret: KeySecret, warning: String?) {
    do throws(KeySecretError) {
      if let variable {
        return (try KeySecret(given: Array(variable.utf8), in: KeySecret.environmentName), nil)
      }
      if let file = settings.identity.secretFile { return (try KeySecret.load(given: file), nil) }
    } catch {
      throw ServiceFailure(settings: error.description)
    }
    guard settings.records.file.isRegularFile else {
      return (.temporary(), warning("records go to no file, and so there is no place for the key secret"))
    }
    do throws(KeySecretError) {
      return (try KeySecret.load(beside: settings.records.file.path), nil)
    } catch {
      guard error.cannotBeKept else { throw ServiceFailure(error.description) }
      return (.temporary(), warning(error.description))
    }
  }

  /// The key of tokens' signatures; nil where none is configured.
  static func tokenKey(_ identity: Settings.Identity) throws(ServiceFailure) -> TokenKey? {
    guard let path = identity.tokenKeyFile,
      let algorithm = identity.tokenAlgorithm.flatMap({ TokenKey.Algorithm(rawValue: $0.rawValue) })
    else { return nil }
    do throws(KeySecretError) { return try TokenKey.load(algorithm, path: path) } catch {
      throw ServiceFailure(settings: error.description)
    }
  }

  private static func warning(_ reason: String) -> String {
    "\(reason): fingerprints of API keys change at the next start; to keep them, set identity.secret_file or "
      + KeySecret.environmentName
  }
}
