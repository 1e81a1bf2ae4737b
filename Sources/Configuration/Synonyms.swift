// What other servers call settings of ours.

/// The setting that other servers call `name`, as a flag or in a file; nil where none is known by it.
func synonym(of name: String) -> String? {
  let plain = name.lowercased().filter { !"-_.".contains($0) }
  return synonyms[plain]
}

/// By the name in lower case, without what separates its words.
private let synonyms = [
  "port": "listen", "host": "listen", "bind": "listen", "address": "listen", "addr": "listen", "p": "listen",
  "bindaddress": "listen", "listenaddress": "listen", "listenport": "listen", "httpport": "listen",
  "interface": "listen",
  "target": "upstream", "backend": "upstream", "server": "upstream", "url": "upstream", "to": "upstream",
  "proxypass": "upstream", "forward": "upstream", "baseurl": "upstream", "apibase": "upstream", "u": "upstream",
  "log": "records.file", "logs": "records.file", "logfile": "records.file", "accesslog": "records.file",
  "output": "records.file", "out": "records.file", "o": "records.file", "file": "records.file",
  "metrics": "admin.listen", "metricsport": "admin.listen", "adminport": "admin.listen", "status": "admin.listen",
  "prometheus": "admin.listen", "threads": "workers", "concurrency": "workers", "processes": "workers", "w": "workers",
  "name": "instance", "maxconnections": "limits.connections", "maxconn": "limits.connections",
  "maxinflight": "limits.in_flight", "gracefultimeout": "timeouts.drain", "shutdowntimeout": "timeouts.drain",
  "draintimeout": "timeouts.drain", "keepalivetimeout": "timeouts.idle", "idletimeout": "timeouts.idle",
  "connecttimeout": "timeouts.connect", "reuseport": "listen_reuse_port", "proxyprotocol": "proxy_protocol.mode",
]

/// The flag that was probably meant by an unknown one of `serve`, such as `--listen` by `--port`; nil where none is near.
/// - Parameter flag: as it was written, with its dashes and without a value.
public func flag(meantBy flag: String) -> String? {
  let name = String(flag.drop { $0 == "-" })
  let names = Setting.all.map(\.name)
  let underscored = name.replacing("-", with: "_")
  let meant = synonym(of: name) ?? names.first { $0 == underscored || $0.replacing(".", with: "_") == underscored }
  guard let setting = (meant ?? nearestName(to: underscored, among: names)).flatMap(Setting.named) else { return nil }
  return setting.flag.hasPrefix("--set ") ? "\(setting.flag)=VALUE" : setting.flag
}
