"""The kernel's lines about a kill, as recorded and as a hostile process or control group would have them."""

import pytest

from supervisor.kernel.oomlines import Kill, OomLines, container_of

OWN, OTHER = "a1" * 32, "b2" * 32
KILLED = (
    "Memory cgroup out of memory: Killed process {} ({}) total-vm:51428kB, anon-rss:32160kB, file-rss:1540kB, "
    "shmem-rss:0kB, UID:0 pgtables:112kB oom_score_adj:0"
)


def chosen(
    name: str = "python",
    pid: int = 25821,
    group: str = f"/docker/{OWN}",
    limit: str | None = f"/docker/{OWN}",
    cpuset: str = OWN,
    constraint: str = "MEMCG",
) -> str:
    whose = "global_oom" if limit is None else f"oom_memcg={limit}"
    return (
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask=(null),cpuset={cpuset},mems_allowed=0,{whose}"
        f",task_memcg={group},task={name},pid={pid},uid=0"
    )


def killed(name: str = "python", pid: int = 25821) -> str:
    return KILLED.format(pid, name)


def fed(*lines: str | bytes, lines_of: OomLines | None = None, apart: float = 0.00002) -> list[Kill]:
    reader = lines_of or OomLines()
    found = [
        reader.feed(line if isinstance(line, bytes) else line.encode(), 100.0 + apart * at)
        for at, line in enumerate(lines)
    ]
    return [kill for kill in found if kill is not None]


def test_two_lines_of_one_kill_are_one() -> None:
    (kill,) = fed("python invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0", chosen(), killed())
    assert (kill.pid, kill.process, kill.constraint) == (25821, "python", "memcg")
    assert kill.container_id == OWN
    assert kill.limit_of == f"/docker/{OWN}"


@pytest.mark.parametrize(
    ("word", "means"), [("NONE", "none"), ("CPUSET", "cpuset"), ("MEMORY_POLICY", "policy"), ("NEWER", "")]
)
def test_a_kill_of_the_whole_machine_says_why_and_whose(word: str, means: str) -> None:
    line = chosen(limit=None, constraint=word, cpuset="/")
    host = killed().replace("Memory cgroup out of memory", "Out of memory")
    (kill,) = fed(line, host)
    assert (kill.constraint, kill.limit_of, kill.container_id) == (means, "", OWN)


def test_a_node_mask_with_commas_is_read() -> None:
    line = chosen(limit=None, constraint="MEMORY_POLICY", cpuset="/").replace("(null)", "0-1,3")
    (kill,) = fed(line.replace("mems_allowed=0", "mems_allowed=0-1,3"), killed())
    assert kill.constraint == "policy"


def test_where_the_kernel_keeps_quiet_about_the_first_line_the_second_one_counts() -> None:
    (kill,) = fed(killed())
    assert (kill.pid, kill.process, kill.constraint, kill.container_id) == (25821, "python", "memcg", "")
    (kill,) = fed("Out of memory: Killed process 7 (x), UID 0, total-vm:1kB, anon-rss:1kB")
    assert (kill.pid, kill.constraint) == (7, "")
    (kill,) = fed(killed().replace("memory:", "memory (oom_kill_allocating_task):"))
    assert kill.pid == 25821


@pytest.mark.parametrize(
    "name", ["a,task=x) \nb\\", ",pid=1,uid=0", "a b) total-vm:", "", "x,task=y", "é\x01", "((((((((((((((("]
)
def test_a_process_may_call_itself_anything(name: str) -> None:
    raw = name.encode()[:15]
    (kill,) = fed(
        chosen("@").encode().replace(b"@", raw),
        killed("@").encode().replace(b"@", raw),
    )
    assert (kill.pid, kill.container_id, kill.limit_of) == (25821, OWN, f"/docker/{OWN}")
    assert kill.process.isprintable()
    assert "\n" not in kill.process


@pytest.mark.parametrize(
    "group",
    [
        f"/docker/{OWN}/x,task_memcg=/docker/{OTHER}",
        f"/docker/{OWN}/x,task_memcg=/docker/{OTHER}/y",
        f"/docker/{OWN}/x,oom_memcg=/docker/{OTHER},task_memcg=/docker/{OTHER}",
        f"/docker/{OWN}/x,task=y,pid=1,uid=0",
        f"/docker/{OWN}/{OTHER}",
        f"/docker/{OWN}/docker-{OTHER}.scope",
    ],
)
def test_a_group_cannot_pass_for_another_containers(group: str) -> None:
    for limit in (group, f"/docker/{OWN}", "/docker", None):
        (kill,) = fed(chosen(group=group, limit=limit), killed())
        assert kill.container_id == OWN, limit
        assert kill.limit_of == (limit or "")
        assert kill.pid == 25821


@pytest.mark.parametrize(
    "cpuset", ["x,mems_allowed=0,global_oom,task_memcg=", "x,oom_memcg=", "a,mems_allowed=0,oom_memcg=x,task_memcg="]
)
def test_the_name_of_a_cpuset_cannot_begin_a_path(cpuset: str) -> None:
    (kill,) = fed(chosen(cpuset=cpuset), killed())
    assert (kill.constraint, kill.container_id, kill.limit_of) == ("memcg", OWN, f"/docker/{OWN}")


def test_the_victim_may_be_below_the_group_whose_limit_was_met() -> None:
    (kill,) = fed(chosen(limit="/docker"), killed())
    assert (kill.limit_of, kill.container_id) == ("/docker", OWN)


@pytest.mark.parametrize(
    "line",
    [
        "oom-kill:constr invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "oom-kill:constr[12]: segfault at 0 ip 0 sp 0 error 4",
        "Out of memory: [12]: segfault at 0 ip 0 sp 0 error 4 in x[1,2]",
        "x: " + chosen(),
        "x: " + killed(),
        chosen() + " and more",
        "oom_reaper: reaped process 25821 (python), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
        "Out of memory and no killable processes...",
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/a,task_memcg=/",
    ],
)
def test_what_is_no_kill_is_none(line: str) -> None:
    reader = OomLines()
    assert fed(line, lines_of=reader) == []
    assert reader.lost() == ()


def test_a_victim_that_was_ending_anyway_was_not_killed() -> None:
    reader = OomLines()
    spared = "Memory cgroup out of memory: OOM victim 25821 (python) is already exiting. Skip killing the task"
    assert fed(chosen(), spared, lines_of=reader) == []
    assert reader.lost() == ()


def test_a_whole_group_is_killed_and_each_process_told_once() -> None:
    kills = fed(
        chosen("a", 10),
        killed("a", 10),
        f"Tasks in /docker/{OWN} are going to be killed due to memory.oom.group set",
        killed("a", 10),
        killed("b", 11),
        killed("c", 12),
    )
    assert [(kill.pid, kill.container_id, kill.constraint) for kill in kills] == [
        (10, OWN, "memcg"),
        (11, OWN, "memcg"),
        (12, OWN, "memcg"),
    ]


def test_a_later_kill_is_not_put_into_that_group() -> None:
    whole = f"Tasks in /docker/{OWN} are going to be killed due to memory.oom.group set"
    assert [kill.container_id for kill in fed(whole, killed("x", 3), apart=2.0)] == [""]
    assert [kill.container_id for kill in fed(whole, chosen(group=f"/docker/{OTHER}", limit=None), killed())] == [OTHER]
    assert [kill.container_id for kill in fed(whole, chosen(pid=4), killed("x", 3))] == [""]


def test_a_number_that_is_used_again_is_another_process() -> None:
    assert len(fed(chosen(), killed(), chosen(), killed(), apart=60.0)) == 2


def test_an_announced_kill_counts_where_lines_were_lost() -> None:
    reader = OomLines()
    fed(chosen(), lines_of=reader)
    assert [kill.pid for kill in reader.lost()] == [25821]
    assert reader.lost() == ()
    assert fed(killed(), lines_of=reader) == [], "told already"


def test_no_flood_fills_the_memory() -> None:
    reader = OomLines()
    for pid in range(1000):
        reader.feed(chosen(pid=pid).encode(), pid / 1000)
        reader.feed(killed(pid=pid + 5000).encode(), pid / 1000)
    assert len(reader.lost()) <= 64


@pytest.mark.parametrize(
    ("group", "found"),
    [
        (f"/docker/{OWN}", OWN),
        (f"/system.slice/docker-{OWN}.scope", OWN),
        (f"/system.slice/docker-{OWN}.scope/init.scope", OWN),
        (f"/kubepods/burstable/podx/{OWN}", OWN),
        (f"/kubepods.slice/kubepods-podx.slice/cri-containerd-{OWN}.scope", OWN),
        (f"/k8s.io/kubepods-podx.slice:cri-containerd:{OWN}", OWN),
        (f"/machine.slice/libpod-{OWN}.scope", OWN),
        (f"/machine.slice/libpod-conmon-{OWN}.scope", ""),
        (f"/user.slice/{OWN[:63]}", ""),
        (f"/user.slice/x{OWN}", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_the_container_stands_in_the_path(group: str, found: str) -> None:
    assert container_of(group) == found
