"""What the shipped rules tell people to type is there: commands of ours, their words and options."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from supervisor.cli.main import COMMANDS, build_parser

RULES = Path(__file__).resolve().parents[3] / "rules"
FILES = [path for path in sorted(RULES.glob("*.yaml")) if "test" not in path.name and "playbooks" not in path.name]
NEW = ("gpu.yaml", "probes.yaml", "disk.yaml", "slots.yaml")


def annotations(path: Path) -> list[str]:
    """Every sentence of a rule file that people are shown."""
    groups = yaml.safe_load(path.read_text())["groups"]
    return [
        " ".join(text.split())
        for group in groups
        for rule in group["rules"]
        for key, text in rule.get("annotations", {}).items()
        if key in ("summary", "description")
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_named_exists(path: Path) -> None:
    for text in annotations(path):
        for word in re.findall(r"(?:^|[\s`(:])resurgam ([a-z][a-z-]*)", text.replace("resurgam do it", "")):
            assert word in COMMANDS, (path.name, word, text)


@pytest.mark.parametrize(
    "line",
    [
        "resurgam gpu",
        "resurgam gpu resume",
        "resurgam gpu forget GPU-1",
        "resurgam gpu-reset gpu:0",
        "resurgam explain llm",
        "resurgam status",
        "resurgam doctor",
        "resurgam phoenix llm --image current",
        "resurgam swap oracle --to mxfp4 --again",
        "resurgam history oracle --benchmarks",
    ],
)
def test_what_they_tell_to_type_is_taken(line: str) -> None:
    said = " ".join(" ".join(annotations(RULES / name)) for name in NEW)
    assert " ".join(line.split()[:2]) in said, "no rule says it any more"
    words = shlex.split(line)[1:]
    build_parser(words).parse_args(words)
