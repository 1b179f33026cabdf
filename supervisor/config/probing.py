"""What is odd about the way a service is asked whether it is well: hints for `resurgam check`. Pure.

From: a `services:` entry that loads. To: (key, sentence) pairs. No mistakes: a label may add what is missing.
"""

from supervisor.config.settings import ServiceSettings

_UNLESS = "beside it, unless a label says so"
_RHYTHM = ("probe-interval", "probe-timeout", "probe-retries")
COSTLY = 30.0
"""seconds between two questions that cost the service something"""


def doubts(entry: ServiceSettings, *, grpc: bool) -> tuple[tuple[str, str], ...]:
    """What has no effect, or cannot be asked. `grpc`: whether this installation can ask gRPC servers."""
    found: list[tuple[str, str]] = []
    probe = entry.probe or ""
    scheme = probe.partition(":")[0]
    if probe and entry.probe_exec is not None:
        found.append(("probe", "probe-exec is asked instead, so this is never asked; take one of them out"))
    if entry.probe_method and scheme != "grpc":
        found.append(("probe-method", f"only a grpc:// probe calls it; write probe: grpc://:50051 {_UNLESS}"))
    if entry.probe_model and scheme != "completion" and entry.benchmark is None:
        text = f"only a completion:// probe or a benchmark asks for it; write probe: completion://:8000 {_UNLESS}"
        found.append(("probe-model", text))
    if entry.benchmark is not None and scheme not in ("completion", "http", "https"):
        found.append(("benchmark", f"it asks where the probe points; write probe: completion://:8000 {_UNLESS}"))
    if not probe and entry.probe_exec is None:
        said = [key for key in _RHYTHM if getattr(entry, key.replace("-", "_")) is not None]
        found += [(key, f"nothing is asked; write probe: http://:8000/health {_UNLESS}") for key in said]
    found += _hasty(entry, scheme)
    if scheme == "grpc" and not grpc:
        found.append(("probe", "this installation cannot ask gRPC servers: pip install 'resurgam[grpc]'"))
    return tuple(found)


def _hasty(entry: ServiceSettings, scheme: str) -> list[tuple[str, str]]:
    """Questions that come faster than they can be answered, or that cost what is asked."""
    if entry.probe_interval is None:
        return []
    if entry.probe_timeout is not None and entry.probe_timeout > entry.probe_interval:
        text = "an answer may take longer than that (probe-timeout), so it is asked less often; make one of them fit"
        return [("probe-interval", text)]
    if entry.probe_exec is not None and entry.probe_interval < COSTLY:
        return [("probe-interval", "each question starts a process in the container; 30s and more is kind to it")]
    if scheme == "completion" and entry.probe_interval < COSTLY:
        return [("probe-interval", "each question has the model make a token; 30s and more is kind to it")]
    return []
