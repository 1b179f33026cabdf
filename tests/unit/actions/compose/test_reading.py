"""A compose file's text to resolved services: what is understood, and every mistake with its place."""

from collections.abc import Mapping

import pytest

from supervisor.actions.compose.model import Spec, from_document
from supervisor.actions.compose.reading import Project, read
from supervisor.errors import ConfigError

FILE = "/srv/box/compose.yml"


class Disk:
    """Files by path, and an environment."""

    home = "/home/me"

    def __init__(self, files: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.files, self.environment = files, environment

    def read(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]


def project(text: str, files: Mapping[str, str] | None = None, **environment: str) -> Project:
    return read(text, FILE, Disk(files or {}, environment))


def service(body: str, files: Mapping[str, str] | None = None, top: str = "", **environment: str) -> Spec:
    """The one service `web`, with these keys (indented by nothing)."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    found = project(f"services:\n  web:\n    image: i\n{lines}\n{top}", files, **environment)
    made = found.services["web"]
    assert from_document(made.document()) == made  # what is sent is what was read
    return made


def mistakes(text: str, files: Mapping[str, str] | None = None, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        project(text, files, **environment)
    return [str(one).replace("/srv/box/", "") for one in caught.value.mistakes]


def test_variables_come_from_the_environment_then_from_the_env_file_beside_it() -> None:
    files = {"/srv/box/.env": "TAG=1\nHOST=file\n"}
    found = project("services: {web: {image: 'x:${TAG}', hostname: $HOST, user: '${NO}'}}", files, HOST="outside")
    web = found.services["web"]
    assert (web.image, web.config.Hostname, web.config.User) == ("x:1", "outside", "")
    assert found.notes == ("Not set, and so left empty: NO.",)


def test_the_environment_of_a_service() -> None:
    files = {"/srv/box/a.env": "A=file\nB=$OUT\n", "/srv/box/.env": "OUT=dotenv"}
    body = "env_file: [a.env, {path: gone.env, required: false}]\nenvironment: {A: own, N: 5, T: true, OUT: , NONE: }"
    assert service(body, files).config.Env == ("A=own", "B=dotenv", "N=5", "T=true", "OUT=dotenv", "NONE")


def test_anchors_merges_and_x_keys() -> None:
    text = """
x-base: &base {restart: always, environment: {A: 1}}
services:
  web:
    <<: *base
    image: i
    x-note: {anything: [goes]}
"""
    web = project(text).services["web"]
    assert web.host.RestartPolicy.Name == "always"
    assert web.config.Env == ("A=1",)


def test_commands_and_checks() -> None:
    made = service(
        """
command: sh -c 'echo "$$HOME"'
entrypoint: ["/init"]
healthcheck: {test: curl -f x, interval: 1m30s, retries: 3}
stop_grace_period: 1m500ms
stop_signal: SIGINT
"""
    )
    assert made.config.Cmd == ("sh", "-c", 'echo "$HOME"')
    assert made.config.Entrypoint == ("/init",)
    assert made.config.Healthcheck is not None
    assert made.config.Healthcheck.Test == ("CMD-SHELL", "curl -f x")
    assert made.config.Healthcheck.Interval == 90 * 10**9
    assert made.config.StopTimeout == 61
    disabled = service("healthcheck: {disable: true}").config.Healthcheck
    assert disabled is not None
    assert disabled.Test == ("NONE",)


def test_mounts_networks_and_files_beside_the_file() -> None:
    made = service(
        """
volumes: [data:/d:ro, ./x:/x, ~/y:/y, /anon, {type: bind, source: ../z, target: /z, read_only: true}]
networks: {front: {aliases: [w], ipv4_address: 10.0.0.2}, default: }
secrets: [{source: s, target: key}, t]
configs: [c]
""",
        top="""
volumes: {data: {name: real}}
networks: {front: {external: true}}
secrets: {s: {file: ./s.txt}, t: {environment: TOKEN}}
configs: {c: {content: "a ${TOKEN}"}}
""",
        TOKEN="tt",
    )
    assert [(one.type, one.source, one.target, one.read_only) for one in made.mounts] == [
        ("volume", "real", "/d", True),
        ("bind", "/srv/box/x", "/x", False),
        ("bind", "/home/me/y", "/y", False),
        ("volume", "", "/anon", False),
        ("bind", "/srv/z", "/z", True),
        ("bind", "/srv/box/s.txt", "/run/secrets/key", True),
    ]
    assert [(one.key, one.real, one.aliases, one.ipv4) for one in made.networks] == [
        ("front", True, ("w",), "10.0.0.2"),
        ("default", False, (), ""),
    ]
    assert [(one.path, one.text) for one in made.files] == [("/run/secrets/t", "tt"), ("/c", "a tt")]


def test_limits_rights_and_devices() -> None:
    made = service(
        """
deploy:
  resources:
    limits: {cpus: "0.5", memory: 50m, pids: 100}
    reservations: {devices: [{capabilities: [gpu], device_ids: ["0"]}, {capabilities: [gpu]}]}
ulimits: {nofile: 9, core: {soft: 0, hard: -1}}
cap_drop: [ALL]
security_opt: ["seccomp:./p.json", "no-new-privileges:true"]
shm_size: 1gb
ipc: "host"
sysctls: [a.b=1]
tmpfs: /run:size=1m
restart: on-failure:3
ports: ["80:80", {target: 90, published: "91", host_ip: 127.0.0.1}]
expose: [99]
""",
        {"/srv/box/p.json": "{}"},
    )
    host = made.host
    assert (host.NanoCpus, host.Memory, host.PidsLimit) == (5 * 10**8, 50 << 20, 100)
    assert [(one.Count, one.DeviceIDs) for one in host.DeviceRequests] == [(0, ("0",)), (-1, ())]
    assert [(one.Name, one.Soft, one.Hard) for one in host.Ulimits] == [("core", 0, -1), ("nofile", 9, 9)]
    assert host.SecurityOpt == ("seccomp={}", "no-new-privileges:true")
    assert (host.ShmSize, host.IpcMode, host.Sysctls, host.Tmpfs) == (
        1 << 30,
        "host",
        {"a.b": "1"},
        {"/run": "size=1m"},
    )
    assert (host.RestartPolicy.Name, host.RestartPolicy.MaximumRetryCount) == ("on-failure", 3)
    assert host.PortBindings["90/tcp"][0].HostIp == "127.0.0.1"
    assert sorted(made.config.ExposedPorts) == ["80/tcp", "90/tcp", "99/tcp"]


def test_restart_no_is_a_word() -> None:
    assert service("restart: no").host.RestartPolicy.Name == "no"
    assert service("restart: false").host.RestartPolicy.Name == "no"


def test_a_build_uses_the_image_that_is_there_and_says_so() -> None:
    found = project("services: {web: {build: .}}")
    assert found.services["web"].built
    assert "nothing is built" in found.notes[0]


def test_all_mistakes_at_once_each_with_its_place() -> None:
    text = """services:
  web:
    image: "i:${TAG:?which}"
    porst: ["80"]
    ports: ["80:80", "x"]
    volumes: [nowhere:/d]
    depends_on: [ghost]
    restart: sometimes
    mem_limit: lots
    privileged: perhaps
    environment: {MODE: 0755, COST: "5$"}
    networks: [lost]
    healthcheck: {test: x, intervall: 5s}
    env_file: gone.env
    extends: {service: base}
  api: {}
include: [x.yml]
nets: {}
"""
    found = mistakes(text)
    wanted = [
        ("3:15", "the variable TAG is required: which"),
        ("4:5", "'porst' is not known for a service"),
        ("5:22", "'x' is no port"),
        ("6:15", "the volume 'nowhere' is not declared"),
        ("7:17", "there is no service 'ghost'"),
        ("8:14", "no restart policy"),
        ("9:16", "'lots' is not a size"),
        ("10:17", "privileged must be true or false"),
        ("11:25", "is read as 493"),
        ("11:39", "write $$"),
        ("12:16", "the network 'lost' is not declared"),
        ("13:28", "'intervall' is not known here"),
        ("14:15", "gone.env cannot be read"),
        ("15:5", "extends is not supported"),
        ("16:3", "has neither image nor build"),
        ("17:1", "include is not supported"),
        ("18:1", "'nets' is not known"),
    ]
    for place, says in wanted:
        assert any(one.startswith(f"compose.yml:{place}: ") and says in one for one in found), (place, says, found)
    assert len(found) == len(wanted)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("network_mode: host\n    networks: [default]", "exclude each other"),
        ("network_mode: bogus", "no network_mode"),
        ('network_mode: "service:web"', "its own namespace"),
        ("entrypoint: ''", "empty entrypoint"),
        ("environment: {A: 1.10}", "put it in quotes"),
        ("environment: {A: 0x1F}", "put it in quotes"),
        ("cpus: 0.5\n    deploy: {resources: {limits: {cpus: '1'}}}", "say different things"),
        ("labels: {com.docker.compose.project: x}", "compose's own"),
        ("secrets: [s]", "not declared"),
        ("devices: [null]", "no device"),
        ("command: {a: b}", "single value"),
        ("ports: {a: b}", "must be a list"),
        ("volumes: [{type: npipe, target: /x}]", "no type of a mount"),
        ("init: {a: 1}", "true or false"),
        ("hostname: [a]", "single value"),
    ],
)
def test_a_mistake_in_a_service(body: str, says: str) -> None:
    found = mistakes(f"services:\n  web:\n    image: i\n    {body}\n")
    assert any(says in one for one in found), found


@pytest.mark.parametrize(
    "text", ["", "[]", "services: []", "services:", "a: b", "services: {web: [1]}", "services: {'': {image: i}}"]
)
def test_what_is_no_compose_file(text: str) -> None:
    assert mistakes(text)


def test_the_name_of_the_project() -> None:
    assert project("name: box\nservices: {}").name == "box"
    assert project("name: box\nservices: {}", COMPOSE_PROJECT_NAME="other").name == "other"
    assert project("services: {}").name == ""
    assert mistakes("name: 'No Good'\nservices: {}")


def test_a_bad_env_file_is_told_with_its_own_place() -> None:
    found = mistakes("services: {web: {image: i, env_file: a.env}}", {"/srv/box/a.env": "A=1\nnot a line\n"})
    assert found == ["a.env:2:1: this is not of the form NAME=value"]


def test_a_secret_from_the_environment_must_be_there() -> None:
    text = "services: {web: {image: i, secrets: [s]}}\nsecrets: {s: {environment: TOKEN}}"
    assert "TOKEN is not set" in mistakes(text)[0]
