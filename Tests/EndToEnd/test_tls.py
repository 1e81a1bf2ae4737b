"""TLS that comes to the plain port: a client's own words for it, and the operator's count."""

import ssl
import urllib.request

import pytest
from harness.metrics import Metrics, fetch
from harness.said import answer_plainly, get
from harness.wire import connect


def test_a_tls_client_is_refused_at_once_and_counted(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, "--admin", "127.0.0.1:0")
    with pytest.raises(OSError) as failure:
        urllib.request.urlopen(f"https://127.0.0.1:{proxy.port}/v1/models", timeout=10)
    assert isinstance(failure.value.reason, ssl.SSLError)
    record = proxy.record()
    assert record["outcome"] == "rejected" and record["status"] == 400
    assert record["error"].startswith("request_is_tls: ")
    port = int(proxy.child.wait_for(r"admin pages on http://127\.0\.0\.1:(\d+)")[1])
    metrics = Metrics(fetch(port, "/metrics")[1])
    assert metrics.sum("tachograph_exchange_errors_total", kind="request_is_tls", side="client") == 1
    wire = connect(proxy.port)
    wire.send(get())
    assert b" 200 " in wire.message().start
