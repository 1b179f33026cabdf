"""`probe-exec`: a command inside the container; well when it ends with 0. Only ever from the configuration.

A command that is not there (127, or the engine could not run it at all) is broken, not unhealthy: the image lacks a
tool, which says nothing about the service.
"""

from collections.abc import Mapping

from supervisor import units
from supervisor.errors import Conflict, EngineError, EngineTimeout, NotFound
from supervisor.facts import Container
from supervisor.ports import Engine
from supervisor.signals.probes.answer import Answer, CannotAsk, Unwell

_CANNOT_RUN = (126, 127)
"""what a shell says of a command that it may not run, or that is not there"""
_TIMED_OUT = 124
"""what the engine port says of a command that did not end in time"""
_SHOWN = 200


async def ask(engines: Mapping[str, Engine], container: Container, argv: tuple[str, ...], timeout: float) -> Answer:
    """Run it, `timeout` seconds at most."""
    try:
        engine = await _engine_of(engines, container)
        ended = await engine.exec(container.id, argv, timeout)
    except (EngineTimeout, Conflict, NotFound) as err:
        raise Unwell(f"{argv[0]}: {err}") from None
    except EngineError as err:
        raise CannotAsk(f"{argv[0]} could not be run: {err}") from None
    said = units.mask(" ".join(ended.output[-_SHOWN:].split()))
    if ended.broken or ended.code in _CANNOT_RUN:
        why = " ".join((ended.broken or said or "it may not be run, or is not there").split())
        raise CannotAsk(f"{argv[0]} cannot run in this image: {why}")
    if ended.code == _TIMED_OUT:
        raise Unwell(f"{argv[0]} did not end within {units.show_duration(timeout)}")
    if ended.code != 0:
        raise Unwell(f"{argv[0]} ended with {ended.code}: {said}" if said else f"{argv[0]} ended with {ended.code}")
    return Answer(True, f"{argv[0]} ended with 0")


async def _engine_of(engines: Mapping[str, Engine], container: Container) -> Engine:
    """The engine that has it: of several, the first that knows its id."""
    if len(engines) == 1:
        return next(iter(engines.values()))
    for name in sorted(engines):
        if await engines[name].inspect(container.id) is not None:
            return engines[name]
    raise CannotAsk("no engine knows this container")
