"""A virtual machine with control groups of version 2: a Debian cloud kernel, and an initramfs of busybox, this Python,
its libraries and the parts of the house that it needs.

From: tests/soak/guest_groups.py. Needs qemu-system-x86_64 (or RESURGAM_QEMU: the path of one) and, for the kernel's
package, apt-get; nothing is installed, the package is only unpacked. Emulated, one CPU, 1 GiB.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BUSYBOX = Path("/bin/busybox")
META = "linux-image-cloud-amd64"
MODULES = ("configfs.ko", "null_blk.ko")
"""in order: the second is a disk that reads as zeros, where page cache comes from that can be dropped"""
LIMIT = 1500.0
"""seconds: the whole machine is stopped then"""
LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "pydoc_data")
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
{modules}
exec </dev/null >/dev/ttyS0 2>&1
export PATH=/bin HOME=/tmp PYTHONPATH=/guest PYTHONHOME={home} LD_LIBRARY_PATH={libraries} LC_ALL=C.UTF-8
{python} /guest/tests/support/guest_run.py
poweroff -f
"""


def kernel(folder: Path) -> tuple[Path, list[Path]]:
    """(a Debian cloud kernel, its modules for the disk), fetched and unpacked below `folder`."""
    depends = subprocess.run(["apt-cache", "depends", META], check=False, capture_output=True, text=True).stdout
    match = re.search(r"Depends: (linux-image-\S+)", depends)
    if match is None:
        raise RuntimeError(f"apt knows no {META}: the guest's kernel is Debian's; run this there, after apt-get update")
    subprocess.run(["apt-get", "download", "-q", match[1]], check=True, cwd=folder, capture_output=True)
    package = next(folder.glob(f"{match[1]}*.deb"))
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    return next(folder.glob("boot/vmlinuz-*")), [next(folder.rglob(name)) for name in MODULES]


def initramfs(modules: list[Path], repository: Path) -> bytes:
    """Everything the guest has."""
    python = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    stdlib = Path(sysconfig.get_path("stdlib"))
    init = INIT.format(
        modules="\n".join(f"insmod /{name}" for name in MODULES),
        home=sys.base_prefix,
        libraries=f"{sys.base_prefix}/lib",
        python=python,
    ).encode()
    files: dict[str, bytes] = {
        "init": init,
        "bin/busybox": BUSYBOX.read_bytes(),
        **{path.name: path.read_bytes() for path in modules},
    }
    for path in _tree(stdlib):
        files[str(path).lstrip("/")] = path.read_bytes()
    for path in _libraries([python, *stdlib.glob("lib-dynload/*.so")]):
        files[str(path).lstrip("/")] = path.read_bytes()
    files[str(python).lstrip("/")] = python.read_bytes()
    for path in (*_tree(repository / "supervisor"), *(repository / "tests/support").glob("g[ru]*.py")):
        if path.suffix == ".py":
            files[f"guest/{path.relative_to(repository)}"] = path.read_bytes()
    return _cpio(files)


def run(kernel_image: Path, ramdisk: Path, told: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """What the machine said: one answer per case, and one about itself last. `boot` is its log where it said less.
    `told` hears each line when it comes."""
    qemu = os.environ.get("RESURGAM_QEMU", "qemu-system-x86_64")
    argv = [qemu, "-accel", "tcg", "-cpu", "max,-cx16", "-smp", "1", "-m", "1024", "-no-reboot", "-display", "none"]
    argv += ["-nodefaults", "-serial", "stdio", "-kernel", str(kernel_image), "-initrd", str(ramdisk)]
    argv += ["-append", "console=ttyS0 rdinit=/init cgroup_no_v1=all psi=1 panic=-1 quiet"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    timer = threading.Timer(LIMIT, process.kill)
    timer.start()
    said: list[str] = []
    try:
        assert process.stdout is not None
        for raw in process.stdout:
            said.append(raw.decode("utf-8", "replace").rstrip())
            told(said[-1])
        process.wait()
    finally:
        timer.cancel()
        process.kill()
    answers = [json.loads(line.partition("GUEST ")[2]) for line in said if line.startswith("GUEST {")]
    if not answers or "kernel" not in answers[-1]:
        answers.append({"boot": "\n".join(said[-200:])})
    return answers


def _tree(folder: Path) -> Iterator[Path]:
    """The plain files below a folder that the guest could need."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.is_file() and not any(part in LEFT_OUT or part.startswith("config-") for part in inside):
            yield path


def _libraries(programs: list[Path]) -> list[Path]:
    """The shared libraries that these need, loader included."""
    found: set[Path] = set()
    for program in programs:
        said = subprocess.run(["ldd", str(program)], check=False, capture_output=True, text=True).stdout
        found |= {Path(match) for match in re.findall(r"(/\S+) \(0x", said)}
    return sorted(found)


def _cpio(files: dict[str, bytes]) -> bytes:
    """An archive of the `newc` kind, with all folders; what is a program or a library may be executed."""
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    entries = [(name, 0o040755, b"") for name in sorted(folders)]
    entries += [(name, 0o100755, content) for name, content in sorted(files.items())]
    packed = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        head = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        packed += b"070701" + b"".join(b"%08X" % value for value in head) + path
        packed += b"\0" * (-len(packed) % 4)
        packed += content
        packed += b"\0" * (-len(packed) % 4)
    return bytes(packed)
