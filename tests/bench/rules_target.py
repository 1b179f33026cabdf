"""What the two evaluators of `rules_beside_prometheus.py` look at, and whom Prometheus tells: two small servers.

`Target` serves the 600 series of `rules_box.py` and a row of switches on `/metrics`; `Listener` takes what Prometheus
posts to an Alertmanager and notes when each switch's alert arrived. Both on loopback, each in a thread of this process.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.bench.rules_box import exposition

LANES = 8


class _Served:
    """One server on a free port of loopback."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(outer.get(self.headers.get("User-Agent", "")).encode())

            def do_POST(self) -> None:
                outer.post(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(b"{}")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_ignored: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def get(self, _agent: str) -> str:
        return ""

    def post(self, _body: Any) -> None:
        return

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Target(_Served):
    """The box, and `count` switches. `reads`: how often each kind of client came."""

    def __init__(self, count: int) -> None:
        self.switches = [0] * count
        self.reads: dict[str, int] = {}
        super().__init__()

    def get(self, agent: str) -> str:
        client = agent.partition("/")[0]
        self.reads[client] = self.reads.get(client, 0) + 1
        switches = [
            f'bench_switch{{lane="{number % LANES}",n="{number}"}} {value}\n'
            for number, value in enumerate(self.switches)
        ]
        return exposition(time.time()) + "".join(switches)


class Listener(_Served):
    """An Alertmanager that only listens. `heard`: when (unix seconds) the alert of each switch came first."""

    def __init__(self) -> None:
        self.heard: dict[int, float] = {}
        super().__init__()

    def post(self, body: Any) -> None:
        now = time.time()
        for alert in body:
            if alert["labels"]["alertname"].startswith("Switch"):
                self.heard.setdefault(int(alert["labels"]["n"]), now)
