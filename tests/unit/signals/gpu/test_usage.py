"""A line from the child process is read, or is none."""

import json

import pytest

from supervisor.signals.gpu.usage import Gpu, Usage, read_line, trouble_from, usage_from

GPU = {"index": 0, "uuid": "GPU-aa", "total": 80, "free": 7, "reserved": 2, "users": [[4711, 60]], "error": ""}


def line(**said):
    return json.dumps({"n": 5, **said}).encode()


def parse(raw):
    return usage_from(read_line(raw))


def test_an_answer_is_read():
    assert parse(line(gpus=[GPU])) == Usage((Gpu(0, "GPU-aa", 80, 7, ((4711, 60),), reserved=2),))


@pytest.mark.parametrize(
    ("said", "kind", "part"),
    [
        ({"trouble": "no_driver"}, "no_driver", "no NVIDIA driver answers"),
        ({"trouble": "no_library"}, "no_library", "nvidia-ml-py is missing"),
        ({"trouble": "mismatch"}, "mismatch", "two versions; reboot"),
        ({"trouble": "error", "text": "Insufficient \x1bPermissions"}, "error", "says: Insufficient \ufffdPermissions"),
        ({"trouble": 7}, "error", "without a reason"),
        ({"trouble": "no_gpu"}, "no_gpu", "shows us no GPU; look whether"),
        ({"trouble": "refused"}, "refused", "we may not open NVIDIA's device files"),
        ({"trouble": "hung", "text": "it hangs"}, "hung", "it hangs"),
        ({"trouble": "stopped", "text": "A fault."}, "stopped", "A fault"),
        ({"trouble": "broken", "text": "it ended"}, "error", "it ended"),
    ],
)
def test_a_trouble_is_a_kind_and_a_phrase(said, kind, part):
    usage = parse(line(**said))
    assert usage.gpus == ()
    assert part in usage.trouble
    assert trouble_from(said) == (kind, usage.trouble)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"NVRM: something\n",
        b"[]",
        b"7",
        b'{"n": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        line(gpus=7),
        line(gpus=[7]),
        line(gpus=[{**GPU, "free": "7"}]),
        line(gpus=[{**GPU, "free": True}]),
        line(gpus=[{**GPU, "total": -1}]),
        line(gpus=[{**GPU, "reserved": None}]),
        line(gpus=[{**GPU, "users": [[1]]}]),
        line(gpus=[{**GPU, "users": {"a": 1}}]),
        line(gpus=[{**GPU, "total": float("nan")}]),
    ],
    ids=range(16),
)
def test_what_is_no_answer_is_refused(junk):
    with pytest.raises(ValueError):
        parse(junk)
