"""What stands in for ports.Hardware, ports.GpuDriver and ports.Engine where there is none: nothing can be done."""

from typing import Any

from supervisor.errors import EngineError, HardwareError
from supervisor.facts import GpuReading

WHY = "nothing on this machine can do that"


class NoHardware:
    """Implements ports.Hardware: nothing can be done."""

    def cannot(self, verb: str, bus_id: str) -> str:
        return WHY

    async def users(self, bus_id: str) -> tuple[str, ...]:
        raise HardwareError(WHY)

    async def reset_gpu(self, bus_id: str, within: float) -> str:
        raise HardwareError(WHY)

    async def reboot(self) -> None:
        raise HardwareError(WHY)

    def boot(self) -> str:
        return ""


class NoDriver:
    """Implements ports.GpuDriver: nobody can be asked."""

    held, running = "", False

    async def snapshot(self, depth: str) -> GpuReading:
        return GpuReading(trouble="no_driver", text="No driver can be asked.")

    def hold(self, why: str) -> None:
        return

    async def release(self, why: str) -> bool:
        return True

    def resume(self) -> None:
        return


class NoEngine:
    """Stands where a plan has no engine: no event is its, and it is asked for nothing."""

    name = ""

    def __getattr__(self, call: str) -> Any:
        raise EngineError(f"this plan has no engine that could be asked ({call})")
