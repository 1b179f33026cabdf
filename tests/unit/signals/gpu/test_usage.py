"""A line from the child process is read, or is none."""

import json

import pytest

from supervisor.signals.gpu.usage import Gpu, Usage, parse

GPU = {"index": 0, "uuid": "GPU-aa", "total": 80, "free": 7, "reserved": 2, "users": [[4711, 60]], "error": ""}


def line(**said):
    return json.dumps({"n": 5, **said}).encode()


def test_an_answer_is_read():
    assert parse(line(gpus=[GPU])) == (5, Usage((Gpu(0, "GPU-aa", 80, 7, ((4711, 60),), reserved=2),)))


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"trouble": "no_driver"}, "no NVIDIA driver answers"),
        ({"trouble": "no_library"}, "nvidia-ml-py is missing"),
        ({"trouble": "mismatch"}, "two versions; reboot"),
        ({"trouble": "error", "text": "Insufficient \x1bPermissions"}, "says: Insufficient \ufffdPermissions"),
        ({"trouble": 7}, "without a reason"),
        ({"trouble": "no_gpu"}, "shows us no GPU; look whether"),
        ({"trouble": "refused"}, "we may not open NVIDIA's device files"),
    ],
)
def test_a_trouble_is_a_sentence(said, part):
    number, usage = parse(line(**said))
    assert (number, usage.gpus) == (5, ())
    assert part in usage.trouble


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
        b'{"n": "1", "gpus": []}',
        line(gpus=[{**GPU, "total": float("nan")}]),
    ],
    ids=range(17),
)
def test_what_is_no_answer_is_refused(junk):
    with pytest.raises(ValueError):
        parse(junk)
