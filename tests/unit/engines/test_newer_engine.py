"""An engine of Docker 29's kind behind a socket: its newest API is later than what we know, its events come as JSON
lines, and its inspect has left out what older ones had."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

import pytest

from supervisor.clock import SystemClock
from supervisor.engines.docker import DockerEngine

ID, IMAGE = "c" * 64, "sha256:" + "a" * 64
INSPECT = {
    "Id": ID,
    "Created": "2025-11-20T10:00:00.123456789Z",
    "Path": "/serve",
    "State": {"Status": "running", "Running": True, "Pid": 4711, "StartedAt": "2025-11-20T10:00:01.5Z"},
    "Image": IMAGE,
    "ImageManifestDescriptor": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": IMAGE},
    "Name": "/oracle",
    "Platform": "linux",
    "HostConfig": {
        "NetworkMode": "lan",
        "RestartPolicy": {"Name": "always"},
        "PortBindings": {"80/tcp": [{"HostPort": "8000"}]},
        "Runtime": "runc",
    },
    "Config": {"Image": "local/oracle:1", "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}},
    "NetworkSettings": {
        "SandboxKey": "/var/run/docker/netns/x",
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}]},
        "Networks": {
            "lan": {"GwPriority": 0, "IPAddress": "10.0.0.7", "DNSNames": ["oracle"], "MacAddress": "02:42:0a"}
        },
    },
}
IMAGES = [
    {"Id": IMAGE, "RepoTags": ["local/oracle:1"], "Descriptor": {"digest": IMAGE}},
    {"Id": "sha256:b", "RepoTags": None},
]
ANSWERS = {
    "/version": {"Version": "29.1.0", "ApiVersion": "1.56", "MinAPIVersion": "1.44", "Os": "linux", "Arch": "arm64"},
    "/v1.52/version": {"Version": "29.1.0", "ApiVersion": "1.56", "Os": "linux", "Arch": "arm64"},
    "/v1.52/info": {"ID": "x", "Runtimes": {"runc": {}}, "DefaultRuntime": "runc", "CDISpecDirs": ["/etc/cdi"]},
    f"/v1.52/containers/{ID}/json": INSPECT,
    "/v1.52/images/json": IMAGES,
    f"/v1.52/images/{IMAGE}/json": {"Id": IMAGE, "Config": {"Cmd": ["/serve"]}, "Os": "linux", "Architecture": "arm64"},
    f"/v1.52/containers/{ID}/changes": [{"Path": "/etc", "Kind": 0}],
}
DISK = {
    "ImageUsage": {
        "TotalSize": 900,
        "Reclaimable": 800,
        "Items": [
            {"Size": 700, "SharedSize": 600, "Containers": 1},
            {"Size": 800, "SharedSize": 600, "Containers": 0},
        ],
    },
    "VolumeUsage": {"TotalSize": 7, "Items": [{"UsageData": {"Size": 7, "RefCount": 0}}]},
    "ContainerUsage": {},
    "BuildCacheUsage": {"TotalSize": 50, "Reclaimable": 40},
}
EVENTS = [
    {"Type": "container", "Action": kind, "Actor": {"ID": ID, "Attributes": {"exitCode": "1"}}, "timeNano": 10**18 + at}
    for at, kind in enumerate(("start", "health_status: healthy", "die"))
]


class Newer(BaseHTTPRequestHandler):
    """Answers like that engine."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if path.endswith("/events"):
            self._stream()
            return
        found = DISK if self.path == "/v1.52/system/df?verbose=1" else ANSWERS.get(path)
        body = json.dumps(found if found is not None else {"message": f"no {path} here"}).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.posted.append((self.path, json.loads(self.rfile.read(length))))  # type: ignore[attr-defined]
        body = json.dumps({"Id": ID, "Warnings": []}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        text = "".join(json.dumps(event) + "\n" for event in EVENTS).encode()
        for piece in (text[:100], text[100:101], text[101:]):  # a record may come in pieces
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_words: object) -> None:
        """Nothing on stderr."""

    def address_string(self) -> str:
        return "a unix socket"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    posted: list[tuple[str, object]]


@pytest.fixture
def server(tmp_path):
    made = Server(str(tmp_path / "d.sock"), Newer)
    made.posted = []
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
async def engine(server):
    made = DockerEngine(f"unix://{server.server_address}", SystemClock())
    yield made
    await made.close()


async def test_it_is_spoken_to_in_the_version_we_know(engine):
    info = await engine.info()
    assert (info.version, info.api, info.architecture, info.cdi) == ("29.1.0", "1.52", "arm64", True)
    assert (await engine.changes(ID))[0].path == "/etc"


async def test_its_disk_is_told_with_its_rows(engine):
    found = await engine.disk()
    assert found.used == {"images": 900.0, "containers": 0.0, "volumes": 7.0, "build_cache": 50.0}
    assert found.reclaimable == {"images": 200.0, "containers": 0.0, "volumes": 7.0, "build_cache": 40.0}


async def test_its_inspect_is_read(engine):
    found = await engine.inspect(ID)
    assert (found.name, found.address, found.ports, found.restart_policy) == (
        "oracle",
        "10.0.0.7",
        ("8000/tcp",),
        "always",
    )
    assert (found.image_id, found.ref_image_id) == (IMAGE, IMAGE)
    assert found.started_at == pytest.approx(1763632801.5)


async def test_its_events_are_read(engine):
    seen = [event async for event in engine.events()]
    assert [event.kind for event in seen] == ["subscribed", "start", "health_status", "die"]
    assert seen[2].attributes["health_status"] == "healthy"


async def test_a_container_is_made_on_all_its_networks_at_once(engine, server):
    ends = {"lan": {"IPAddress": "10.0.0.7", "Aliases": ["a"]}, "other": {"GwPriority": 3}}
    body = {"Image": "i", "MacAddress": "02:00:00:00:00:01", "HostConfig": {"NetworkMode": "lan"}}
    assert await engine.create("oracle", body | {"NetworkingConfig": {"EndpointsConfig": ends}}) == ID
    (path, sent), *more = server.posted
    assert more == []
    assert path == "/v1.52/containers/create?name=oracle"
    wanted = {"lan": {"Aliases": ["a"], "MacAddress": "02:00:00:00:00:01"}, "other": {"GwPriority": 3}}
    assert sent["NetworkingConfig"]["EndpointsConfig"] == wanted
    assert "MacAddress" not in sent
