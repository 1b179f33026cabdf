"""Our reading of compose files beside docker-compose's own: what `docker-compose config` makes of a file means the same
to us as the file itself. No engine is asked.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from supervisor.actions.compose.sources import AsPerson, read_file
from supervisor.facts import Json

pytestmark = pytest.mark.real

RICH = """
version: "3.8"
x-base: &base
  restart: unless-stopped
  logging: {driver: json-file, options: {max-size: 10m}}
services:
  web:
    <<: *base
    image: "foo:${TAG:-9}"
    command: sh -c 'echo $$HOME "a b"'
    entrypoint: ["/init", "--"]
    env_file: web.env
    environment: [A=1, B, "C=${NOPE}", "Q=$Q", "R=${R}", "S=${S-none}", "E=${EMPTY:-d}", "F=${TAG:?x}"]
    ports: ["8080:80", "127.0.0.1:9000-9001:9000-9001/udp", {target: 70, published: 7070}, "99"]
    volumes:
    - data:/data:ro
    - ./x:/x
    - /anon
    - {type: tmpfs, target: /t, tmpfs: {size: 1000000}}
    - {type: bind, source: ./y, target: /y, read_only: true}
    - {type: volume, source: data, target: /v}
    networks: {front: {aliases: [w], ipv4_address: 10.1.2.3}, default: }
    depends_on: [db]
    deploy:
      resources:
        limits: {cpus: "0.5", memory: 50m}
        reservations: {devices: [{capabilities: [gpu], count: 1}]}
    healthcheck: {test: echo ok, interval: 1m30s, retries: 3, timeout: 500ms}
    ulimits: {nofile: 1024, nproc: {soft: 10, hard: 20}}
    stop_grace_period: 1m
    extra_hosts: ["a:1.2.3.4"]
    secrets: [s, {source: s, target: other, mode: 0440}]
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    security_opt: ["no-new-privileges:true"]
    read_only: true
    tmpfs: /run
    sysctls: {net.core.somaxconn: 1024}
    dns: 1.1.1.1
    shm_size: 1gb
    init: true
    user: "1000"
    working_dir: /w
    hostname: h
    labels: [a=b, c]
    devices: ["/dev/null:/dev/x:rw"]
    expose: ["3000"]
    stop_signal: SIGINT
    container_name: webby
    tty: true
  db:
    image: pg
    network_mode: host
    command: ["a", "$$b"]
    restart: "on-failure:3"
    pid: host
    environment: {N: 1, F: 1.5, T: "true", NUL: , Z: "${TAG}"}
    profiles: [x]
  side:
    image: pg
    network_mode: "service:web"
    volumes: ["ext:/e"]
    depends_on: {web: {condition: service_started}}
networks: {front: {external: true, name: outer}}
volumes: {data: {}, ext: {external: true, name: realext}}
secrets: {s: {file: ./s.txt}}
"""
PLAIN = """
version: "2.4"
services:
  a: {image: i, mem_limit: 64m, cpus: 0.5, pids_limit: 10, cpu_shares: 5, restart: always, privileged: true, ipc: host}
  b:
    image: i
    runtime: runc
    group_add: [video, "44"]
    oom_score_adj: 100
    mem_reservation: 32m
    memswap_limit: 128m
    extra_hosts: {x: 1.1.1.1}
    dns_search: [a, b]
    stdin_open: true
    healthcheck: {disable: true}
    logging: {driver: none}
    labels: {n: "1", e: }
    tmpfs: [/a, "/b:size=1m"]
    volumes: [./here:/there:ro, "~/h:/h"]
    environment: {MULTI: "a\\nb", SPACED: " x "}
"""
FILES: Mapping[str, Mapping[str, str]] = {
    "rich": {
        "docker-compose.yml": RICH,
        ".env": 'TAG=1\nQ="a # b"\nR=x # y\nS=${TAG}2\n',
        "web.env": "X=1\nY=\"a b\"\nexport Z='c'\n",
        "s.txt": "x",
    },
    "plain": {"docker-compose.yml": PLAIN},
}


def meaning(file: Path, environment: Mapping[str, str]) -> dict[str, Json]:
    """What each service comes to; order is left out where it means nothing."""

    def settled(document: Json) -> Json:
        found: dict[str, Any] = {key: value for key, value in document.items() if key != "file"}
        found["config"] = {**found.get("config", {}), "Env": sorted(found.get("config", {}).get("Env", ()))}
        for key in ("mounts", "networks"):
            found[key] = sorted(found.get(key, ()), key=str)
        return found

    services = read_file(str(file), AsPerson(environment, os.path.expanduser("~"))).documents()
    return {name: settled(document) for name, document in services.items()}


@pytest.mark.parametrize("word", FILES)
def test_a_file_means_to_us_what_compose_makes_of_it(word: str, tmp_path: Path) -> None:
    for name, text in FILES[word].items():
        tmp_path.joinpath(name).write_text(text)
    said = subprocess.run(["docker-compose", "config"], cwd=tmp_path, capture_output=True, text=True, check=True)
    ours = meaning(tmp_path / "docker-compose.yml", os.environ)
    tmp_path.joinpath("resolved.yml").write_text(said.stdout)
    tmp_path.joinpath(".env").unlink(missing_ok=True)
    assert ours == meaning(tmp_path / "resolved.yml", {})
    assert len(ours) >= 2
