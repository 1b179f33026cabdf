"""mlx_lm's own server on this machine's processor, against what data/mlx-lm.yaml says of it.

Not part of `make test`: mlx is large, and no dependency of ours. Run it by name, with a Python that has mlx_lm:

    RESURGAM_MLX_PYTHON=/path/to/python pytest -q -n 0 tests/soak/mlx_server.py
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from supervisor.clock import SystemClock
from supervisor.errors import ServerError
from supervisor.facts import SlotModel
from supervisor.facts.slots import LOADED, UNKNOWN
from supervisor.servers import described, door
from supervisor.servers.generic import Generic, found
from supervisor.servers.places import Place

PYTHON = os.environ.get("RESURGAM_MLX_PYTHON", sys.executable)
MAKER = Path(__file__).parent.parent / "support" / "mlx_model.py"
KIND = described.shipped()["mlx-lm"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models."""
    folder = tmp_path_factory.mktemp("mlx")
    made = (folder / "a", folder / "b")
    for seed, one in enumerate(made):
        subprocess.run([PYTHON, MAKER, one, str(seed)], check=True)
    return made


@asynccontextmanager
async def running(model: Path) -> AsyncIterator[door.Door]:
    """The server with one model, and the door to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [PYTHON, "-m", "mlx_lm", "server", "--model", str(model), "--port", str(port)]
    server = await asyncio.create_subprocess_exec(*argv, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        async with door.session() as session:
            here = door.Door(session, f"http://127.0.0.1:{port}")
            async with asyncio.timeout(120):
                while await _state(here, SlotModel("a", service="a")) != LOADED:
                    assert server.returncode is None, "it ended by itself"
                    await asyncio.sleep(0.2)
            yield here
    finally:
        server.terminate()
        await server.wait()


async def _state(here: door.Door, model: SlotModel) -> str:
    try:
        return (await Generic(KIND, SystemClock()).look(Place(here, model, {}), 10.0)).state
    except ServerError:
        return "away"


async def test_alone_it_counts_as_loaded_and_inside_nobody_knows(models: tuple[Path, Path]) -> None:
    async with running(models[0]) as here:
        assert await _state(here, SlotModel("a", inside=True, url="http://x:1")) == UNKNOWN
        assert await _state(here, SlotModel("a", service="a")) == LOADED


async def test_a_request_loads_another_model_and_one_that_is_not_there_is_an_error(models: tuple[Path, Path]) -> None:
    async with running(models[0]) as here:
        hands = Generic(KIND, SystemClock())
        other = SlotModel("b", inside=True, url="http://x:1", model=str(models[1]))
        assert await hands.do("load", Place(here, other, {}), 120.0)
        nobody = SlotModel("c", inside=True, url="http://x:1", model=str(models[1].parent / "nobody"))
        with pytest.raises(ServerError, match="could not load that model"):
            await hands.do("load", Place(here, nobody, {}), 120.0)
        assert await hands.do("load", Place(here, other, {}), 120.0)


async def test_it_cannot_be_recognised_so_it_is_declared(models: tuple[Path, Path]) -> None:
    async with running(models[0]) as here:
        kinds = [Generic(kind, SystemClock()) for kind in described.shipped().values()]
        one = await found(kinds, here, "", 10.0)
        assert one is None or one.name == "openai"
