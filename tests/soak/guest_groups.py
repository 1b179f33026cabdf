"""The hands on control groups pass the suite on a real kernel with version 2, in a virtual machine, and what that
kernel tells by itself is heard. For `make soak`: some minutes of one processor, 1 GiB."""

from pathlib import Path

from tests.support import guest
from tests.support.groups_suite import CHECKS

REPOSITORY = Path(__file__).parents[2]


def test_suite_on_version_2(tmp_path: Path) -> None:
    image, modules = guest.kernel(tmp_path)
    ramdisk = tmp_path / "initramfs"
    ramdisk.write_bytes(guest.initramfs(modules, REPOSITORY))
    answers = guest.run(image, ramdisk)
    troubles = {answer["case"]: answer["trouble"] for answer in answers if answer.get("trouble")}
    assert not troubles, "\n\n".join(f"{case}\n{text}" for case, text in troubles.items())
    done = [answer["case"] for answer in answers[:-1]]
    assert done[: len(CHECKS)] == [case.__name__ for case in CHECKS], answers[-1]
    assert len(done) == answers[-1].get("cases"), answers[-1]
    print(f"kernel {answers[-1]['kernel']}: {len(done)} cases")
