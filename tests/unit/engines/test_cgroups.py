"""Usage from control groups, of either version; a pid that is somebody else's is not believed."""

import pytest

from supervisor.engines.docker import cgroups

ID = "a3b8" * 16


def put(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_version_1(tmp_path):
    put(
        tmp_path,
        {
            "proc/7/cgroup": f"4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n0::/docker/{ID}\n",
            f"sys/memory/docker/{ID}/memory.usage_in_bytes": "1000\n",
            f"sys/memory/docker/{ID}/memory.limit_in_bytes": "9223372036854771712\n",
            f"sys/memory/docker/{ID}/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
            f"sys/cpuacct/docker/{ID}/cpuacct.usage": "2500000000\n",
        },
    )
    group = cgroups.find(7, ID, str(tmp_path / "proc"), str(tmp_path / "sys"))
    assert group is not None
    used = group.read()
    assert (used.memory, used.memory_limit, used.cpu_seconds) == (700.0, 0.0, 2.5)


@pytest.mark.parametrize(("limit", "shown"), [("max", 0.0), ("4096", 4096.0)])
def test_version_2(tmp_path, limit, shown):
    base = f"sys/system.slice/docker-{ID}.scope"
    put(
        tmp_path,
        {
            "proc/7/cgroup": f"0::/system.slice/docker-{ID}.scope\n",
            f"{base}/memory.current": "1000\n",
            f"{base}/memory.max": f"{limit}\n",
            f"{base}/memory.stat": "anon 5\ninactive_file 300\n",
            f"{base}/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
        },
    )
    group = cgroups.find(7, ID, str(tmp_path / "proc"), str(tmp_path / "sys"))
    assert group is not None
    used = group.read()
    assert (used.memory, used.memory_limit, used.cpu_seconds) == (700.0, shown, 2.5)
    (tmp_path / base / "memory.current").unlink()
    with pytest.raises(OSError):
        group.read()


def test_somebody_elses_process_is_not_believed(tmp_path):
    put(tmp_path, {"proc/7/cgroup": "0::/user.slice/session-1.scope\n"})
    assert cgroups.find(7, ID, str(tmp_path / "proc"), str(tmp_path / "sys")) is None
    assert cgroups.find(8, ID, str(tmp_path / "proc"), str(tmp_path / "sys")) is None


def test_a_group_that_is_not_mounted_here_is_not_found(tmp_path):
    put(tmp_path, {"proc/7/cgroup": f"0::/docker/{ID}\n"})
    assert cgroups.find(7, ID, str(tmp_path / "proc"), str(tmp_path / "sys")) is None
