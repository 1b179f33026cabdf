"""A pynvml that says what a real card said: nvml_h200.json, which tells what it was recorded on.

Each card is the recorded one; `told` is what differs, by call as it stands in the recording: a value, or an error. It
is given to the child's code in this very process; driver.py is for the child as a process.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CARD = json.loads(Path(__file__).with_name("nvml_h200.json").read_text())
UUID, BUS = "GPU-6e1b7a52-0000-4000-8000-000000000001", "00000000:1B:00.0"
_WORDS = {3: "Not Supported", 13: "Function Not Found", 15: "GPU is lost", 16: "GPU requires restart"}
_KINDS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


class NVMLError(Exception):
    """As the real one: `value` is the code."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text or _WORDS.get(code, f"Unknown Error {code}"))
        self.value = code


def recorded(entry: Mapping[str, Any]) -> Any:
    """An entry of the recording as a value, or as the error that it is."""
    return NVMLError(entry["error"][0], entry["error"][-1]) if "error" in entry else entry["value"]


class Card:
    """One card. `state`: idle | busy."""

    def __init__(self, state: str = "idle", told: Mapping[str, Any] | None = None) -> None:
        said = {call: recorded(entry) for call, entry in {**CARD["idle"], **CARD[state]}.items()}
        named = {"nvmlDeviceGetUUID": UUID, "nvmlDeviceGetPciInfo": {"busId": BUS}, "nvmlDeviceGetHandleByIndex": 0}
        self._said = named | said | dict(told or {})
        self._fields = {
            int(number): {**entry, "value": entry["busy"]} if state == "busy" and "busy" in entry else entry
            for number, entry in CARD["fields"].items()
        }

    def answer(self, call: str) -> Any:
        """KeyError where nobody asked the real one."""
        found = self._said[call]
        if isinstance(found, NVMLError):
            raise found
        return found

    def knows(self, name: str) -> bool:
        return any(call.partition("(")[0] == name for call in self._said)

    def field(self, number: int) -> SimpleNamespace:
        entry = self._fields[number]
        if "error" in entry:
            return SimpleNamespace(nvmlReturn=entry["error"][0])
        kind = entry["kind"]
        value = SimpleNamespace(**{kind: entry["value"]})
        return SimpleNamespace(nvmlReturn=0, valueType=_KINDS.index(kind), value=value)


class Recorded:
    """The module. `told`: what the driver itself says otherwise; `calls`: what was asked of cards, in order."""

    NVMLError, nvmlMemory_v2 = NVMLError, 0x02000028

    def __init__(self, *cards: Card, told: Mapping[str, Any] | None = None) -> None:
        self.cards = list(cards or (Card(),))
        self._driver = Card(told={"nvmlInit": None, "nvmlDeviceGetCount": None, **(told or {})})
        self.calls: list[str] = []

    def nvmlInit(self) -> None:
        self._driver.answer("nvmlInit")

    def nvmlShutdown(self) -> None:
        self.calls.append("nvmlShutdown")

    def nvmlSystemGetDriverVersion(self) -> str:
        return str(self._driver.answer("nvmlSystemGetDriverVersion"))

    def nvmlSystemGetNVMLVersion(self) -> str:
        return str(self._driver.answer("nvmlSystemGetNVMLVersion"))

    def nvmlDeviceGetCount(self) -> int:
        count = self._driver.answer("nvmlDeviceGetCount")
        return len(self.cards) if count is None else int(count)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        self.cards[index].answer("nvmlDeviceGetHandleByIndex")
        return self.cards[index]

    def nvmlDeviceGetMemoryInfo(self, card: Card, version: int | None = None) -> Any:
        return self._say(card, "nvmlDeviceGetMemoryInfo", f"nvmlDeviceGetMemoryInfo(v{2 if version else 1})")

    def nvmlDeviceGetFieldValues(self, card: Card, numbers: tuple[int, ...]) -> list[SimpleNamespace]:
        self.calls += [f"field {number}" for number in numbers]
        return [card.field(number) for number in numbers]

    def __getattr__(self, name: str) -> Any:
        """Any call about a card that was recorded."""
        if not name.startswith("nvmlDeviceGet") or not self.cards[0].knows(name):
            raise AttributeError(name)
        return lambda card, *words: self._say(card, name, f"{name}({','.join(map(str, words))})" if words else name)

    def _say(self, card: Card, name: str, call: str) -> Any:
        self.calls.append(name)
        found = card.answer(call)
        if isinstance(found, dict):
            return SimpleNamespace(**found)
        if isinstance(found, list) and all(isinstance(each, dict) for each in found):
            return [SimpleNamespace(**each) for each in found]
        return found
