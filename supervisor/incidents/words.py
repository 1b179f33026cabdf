"""Words that the sentences of this folder share: times of day, exit codes, image ids.

In: numbers and ids from snapshots. Out: text for verdicts, incident titles and causes.
"""

from datetime import datetime

from supervisor import units

_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    5: "SIGTRAP",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
"""Linux numbers, whatever this machine is: containers are Linux."""

_LATEST = 253_402_214_400.0


def time_of_day(at: float, now: float) -> str:
    """`12:40` on the machine's own clock, with the day (`on 21 Nov at 12:40`) where it is not within 12 hours."""
    moment = datetime.fromtimestamp(min(max(at, 0.0), _LATEST)).astimezone()
    if abs(at - now) <= 12 * 3600:
        return f"at {moment:%H:%M}"
    return f"on {moment.day} {moment:%b} at {moment:%H:%M}"


def until(at: float, now: float) -> str:
    """`at 12:40 (in 25m)`: when something becomes possible."""
    return f"{time_of_day(at, now)} (in {units.show_duration(max(0.0, at - now))})"


def exit_words(code: int) -> str:
    """`exit 139 (SIGSEGV)`, `exit 1`."""
    name = _SIGNALS.get(code - 128, "") if code > 128 else ""
    return f"exit {code} ({name})" if name else f"exit {code}"


def short_image(image_id: str) -> str:
    """The first 12 digits of an image id; anything else stays as it is."""
    return image_id.removeprefix("sha256:")[:12] if image_id.startswith("sha256:") else image_id


def listed(words: tuple[str, ...], most: int = 5) -> str:
    """`a, b and c`; beyond `most` the rest is only counted."""
    shown = words[:most] if len(words) <= most else (*words[: most - 1], f"{len(words) - most + 1} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
