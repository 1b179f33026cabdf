"""The service files start `resurgam run`, feed the watchdog, and stay as hardened as they were."""

import plistlib
import re
import shutil
import subprocess
from pathlib import Path

from supervisor.daemon import STOP_DEADLINE

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "resurgam.service"
PLIST = ROOT / "launchd" / "io.github.resurgam.plist"


def unit() -> dict[str, list[str]]:
    """Every key of the unit with all its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


def analyze(*arguments: str) -> tuple[int, str]:
    """systemd-analyze's verdict. Where it is not installed the keys asserted here are all that is checked."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return 0, ""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_unit_runs_the_daemon_and_lets_systemd_watch_it() -> None:
    keys = unit()
    assert keys["Type"] == ["notify"]
    assert keys["ExecStart"][0].split("/")[-1] == "resurgam run"
    assert int(keys["WatchdogSec"][0]) >= 10, "the core turns once a second; a busy box needs room"
    assert keys["Restart"] == ["always"]
    assert "kill -HUP $MAINPID" in keys["ExecReload"][0]
    assert not keys["ExecReload"][0].startswith("/bin/kill"), "a minimal Debian has no /bin/kill"


def test_the_unit_gives_the_daemon_longer_than_it_needs_to_end() -> None:
    assert int(unit()["TimeoutStopSec"][0]) > STOP_DEADLINE
    assert unit()["KillMode"] == ["mixed"], "a broker of ours must live to carry the last message"


def test_the_unit_keeps_what_is_needed_and_drops_the_rest() -> None:
    keys = unit()
    assert "docker" in keys["SupplementaryGroups"][0].split()
    assert keys["CapabilityBoundingSet"] == [""]
    assert keys["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert "PrivateNetwork" not in keys, "probes and brokers need the network"
    assert "ProtectProc" not in keys, "the host's memory is read from /proc"
    for key in (
        "NoNewPrivileges",
        "PrivateTmp",
        "ProtectKernelModules",
        "RestrictNamespaces",
        "MemoryDenyWriteExecute",
    ):
        assert keys[key] == ["yes"], key
    assert (keys["ProtectSystem"], keys["StateDirectoryMode"], keys["UMask"]) == (["strict"], ["0700"], ["0077"])


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    copy = tmp_path / "resurgam.service"
    copy.write_text(re.sub(r"ExecStart=\S+ run", "ExecStart=/bin/true", UNIT.read_text()))
    code, said = analyze("verify", "--recursive-errors=no", str(copy))
    assert (code, said) == (0, "")


def test_the_unit_is_as_hardened_as_it_was() -> None:
    code, said = analyze("security", "--offline=true", "--threshold=17", str(UNIT))
    assert code == 0, said


def test_the_plist_is_one_launchd_takes() -> None:
    text = PLIST.read_bytes()
    found = plistlib.loads(text)
    keys = re.findall(rb"^    <key>(\w+)</key>", text, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len(found), "launchd silently takes the last of two equal keys"
    types = {
        "Label": str,
        "ProgramArguments": list,
        "EnvironmentVariables": dict,
        "RunAtLoad": bool,
        "KeepAlive": dict,
        "ThrottleInterval": int,
        "ProcessType": str,
        "ExitTimeOut": int,
        "SoftResourceLimits": dict,
        "Umask": int,
        "StandardOutPath": str,
        "StandardErrorPath": str,
    }
    assert {key: type(value) for key, value in found.items()} == types
    assert PLIST.stem == found["Label"]


def test_the_plist_runs_the_daemon_again_only_after_a_crash_and_at_full_speed() -> None:
    found = plistlib.loads(PLIST.read_bytes())
    assert found["ProgramArguments"][0].startswith("/"), "launchd searches no PATH"
    assert found["ProgramArguments"][1:] == ["run"]
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["ProcessType"] == "Interactive"
    assert found["Umask"] == 0o077
    assert "/opt/homebrew/sbin" in found["EnvironmentVariables"]["PATH"].split(":")
