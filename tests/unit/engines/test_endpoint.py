"""Where the engine is looked for, in which order, and what is said when there is none."""

import hashlib
import json

import pytest

from supervisor.engines.docker import endpoint
from supervisor.errors import EngineGone


def context(home, name, host, tls=False):
    folder = home / ".docker"
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    if tls:
        path = folder / "contexts" / "tls" / digest / "docker"
        path.mkdir(parents=True)
        (path / "ca.pem").write_text("x")
        return str(path)
    return ""


def test_what_a_person_named_comes_first(tmp_path):
    env = {"DOCKER_HOST": "tcp://other:2375", "HOME": str(tmp_path)}
    assert endpoint.find("unix:///x.sock", env).url == "unix:///x.sock"
    assert endpoint.find("/x.sock", env).socket == "/x.sock"
    found = endpoint.find(None, env)
    assert (found.url, found.source, found.socket) == ("tcp://other:2375", "DOCKER_HOST", "")


def test_then_the_context_with_its_keys(tmp_path):
    keys = context(tmp_path, "box", "tcp://box:2376", tls=True)
    found = endpoint.find(None, {"HOME": str(tmp_path)})
    assert (found.url, found.source, found.tls_folder) == ("tcp://box:2376", "Docker context box", keys)


def test_then_a_known_socket(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "_KNOWN", ("{home}/nothing.sock", "{runtime}/docker.sock"))
    (tmp_path / "docker.sock").touch()
    found = endpoint.find(None, {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    assert found.socket == str(tmp_path / "docker.sock")


def test_nothing_found_says_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "_KNOWN", ("{home}/nothing.sock", "{runtime}/docker.sock"))
    context(tmp_path, "gone", "")
    with pytest.raises(EngineGone, match=r"docker\.endpoint in resurgam\.yaml") as caught:
        endpoint.find(None, {"HOME": str(tmp_path)})
    assert "Docker context gone (has no endpoint)" in str(caught.value)
    assert str(tmp_path / "nothing.sock") in str(caught.value)


@pytest.mark.parametrize("url", ["ssh://me@box", "gopher://x", "docker.sock"])
def test_what_cannot_work_is_refused_with_its_source(url):
    with pytest.raises(EngineGone, match="DOCKER_HOST is"):
        endpoint.find(None, {"DOCKER_HOST": url})


def test_keys_for_tcp_come_from_the_environment():
    env = {"DOCKER_HOST": "tcp://box:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/keys"}
    assert endpoint.find(None, env).tls_folder == "/keys"
    assert endpoint.find("/x.sock", env).tls_folder == ""
