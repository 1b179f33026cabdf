"""What runs inside the containers of the control groups' suite: busybox alone, one MiB after the other.

From: tests/real/test_groups.py (containers) and tests/support/guest_run.py (a virtual machine). A shell is the first
process, so that it obeys SIGTERM (143) and ends as its child ends.
"""

_TAKE = 'a[i] = sprintf("%1048576s", "x")'
_EVER = 'while (1) system("sleep 1")'
_OBEYS = "trap 'kill -9 $!; exit 143' TERM; wait $!"


WRITE = "dd if=/dev/zero of=/data/cached bs=1M count={} conv=fsync"


def program(kind: str, amount: int, cache: str = WRITE) -> str:
    """A shell script that has, or takes, so many MiB. `cache`: what fills that much page cache that can be dropped."""
    hold = f"awk 'BEGIN {{ for (i = 0; i < {amount}; i++) {_TAKE}; {_EVER} }}' & {_OBEYS}"
    take = f"awk 'BEGIN {{ for (i = 0; i < {amount}; i++) {{ {_TAKE}; system(\"sleep 0.05\") }} {_EVER} }}' &"
    idle = f"sleep 3600 & {_OBEYS}"
    scripts = {
        "hold": hold,
        "grow": f"{take} {_OBEYS}; exit $?",
        "parent": f"{take} trap 'exit 143' TERM; while :; do sleep 1; done",
        "shared": f"dd if=/dev/zero of=/dev/shm/taken.$$ bs=1M count={amount} 2>/dev/null; {idle}",
        "cache": f"{cache.format(amount)} 2>/dev/null; {idle}",
    }
    return scripts[kind]
