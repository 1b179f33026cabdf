"""What the pages say must be true: links lead somewhere, commands and settings exist, examples load."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from supervisor import config
from supervisor.cli.main import COMMANDS, build_parser
from supervisor.config.yaml import Document, validate
from supervisor.incidents import playbooks
from supervisor.lab import actionsfile
from supervisor.verbs import VERBS
from supervisor.verdicts import Reason
from tests.support.docs import PAGES, ROOT, all_blocks, blocks


def text_of(name: str) -> str:
    return next(page for page in PAGES if page.name == name).read_text("utf-8")


def test_the_pages_there_should_be() -> None:
    names = {page.stem for page in PAGES}
    wanted = {
        "start",
        "rules",
        "actions",
        "topics",
        "architecture",
        "safety",
        "security",
        "performance",
        "operate",
        "memory",
        "gpu",
        "signals",
        "swap",
    }
    assert names == wanted | {"README"}


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 80


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page) -> None:  # type: ignore[no-untyped-def]
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_shell_block_says_whether_it_is_run(page) -> None:  # type: ignore[no-untyped-def]
    for block in blocks(page):
        assert block.mark in ("sh run", "sh show", "yaml", ""), block.mark


def test_some_blocks_are_run_and_those_have_only_our_commands() -> None:
    runnable = [block for block in all_blocks() if block.mark == "sh run"]
    assert len(runnable) >= 5
    for block in runnable:
        assert block.commands == block.text.splitlines(), block.page


def test_every_command_shown_is_one_that_exists() -> None:
    shown = [line for block in all_blocks() for line in block.commands]
    for line in shown:
        words = shlex.split(line)[1:]
        if words[-1] != "--help":
            build_parser(words).parse_args(words)


def test_every_command_named_in_a_sentence_exists() -> None:
    for page in PAGES:
        for word in re.findall(r"`resurgam ([a-z]+)", page.read_text("utf-8")):
            assert word in COMMANDS, (page.name, word)


def test_every_verb_and_only_verbs_stand_in_the_table() -> None:
    table = set(re.findall(r"^\| `([a-z-]+)` \|", text_of("actions.md"), re.MULTILINE))
    assert table == {name for name, verb in VERBS.items() if not verb.internal}


def test_every_reason_named_is_one() -> None:
    paragraph = text_of("actions.md").partition("What stands in the way?")[2].partition("##")[0]
    named = set(re.findall(r"`([a-z]+_?[a-z]*)`", paragraph))
    assert len(named) > 10
    assert named <= {reason.value for reason in Reason}


def test_every_setting_in_the_table_exists() -> None:
    table = text_of("start.md").partition("| key |")[2]
    for key in re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE):
        first, _, second = key.partition(".")
        field = config.Settings.model_fields[first]
        if second:
            assert second in type(field.default).model_fields, key


def test_the_settings_shown_are_taken() -> None:
    shown = []
    for block in all_blocks():
        data = yaml.safe_load(block.text) if block.mark == "yaml" else None
        ours = isinstance(data, dict) and set(data) <= set(config.Settings.model_fields)
        if ours and block.page != "README.md":  # what stands there is a compose file
            validate(config.Settings, Document(block.page, data))
            shown += [*data]
    assert {"services", "notify", "commands"} <= set(shown)


def test_the_actions_test_shown_is_one(tmp_path: Path) -> None:
    (text,) = [block.text for block in blocks(ROOT / "docs" / "rules.md") if "expect:" in block.text]
    shutil.copy(ROOT / "docs" / "examples" / "oracle.yaml", tmp_path)
    file = tmp_path / "shown.actions-test.yaml"
    file.write_text(text)
    assert actionsfile.read(file).tests


def test_the_playbook_shown_loads() -> None:
    (text,) = [block.text for block in blocks(ROOT / "docs" / "rules.md") if "playbooks:" in block.text]
    assert playbooks.read(text, "rules.md")[0].name == "restart-loop"


def test_every_series_named_in_the_pages_is_made() -> None:
    code = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "supervisor").rglob("*.py")))
    for name in set(re.findall(r"`((?:resurgam|container|kube)_[a-z_]+)`", text_of("rules.md"))):
        assert name in code, name


def test_the_pages_name_no_file_that_is_gone() -> None:
    everything = "".join(page.read_text("utf-8") for page in PAGES)
    for word in re.findall(r"`((?:supervisor|rules|docs|systemd|launchd)/[\w./-]+)`", everything):
        assert (ROOT / word).exists(), word


def test_the_path_of_a_signal_is_six_files_and_none_imports_a_later_one() -> None:
    """The test of the house. A file stands for its floor: `rules/engine.py` for `supervisor.rules`."""
    path = re.findall(r"^\d\. \*\*\[supervisor/([\w./]+)\]", text_of("architecture.md"), re.MULTILINE)
    assert len(path) == 6
    floors = [name.removesuffix(".py").split("/")[0] for name in path]
    assert floors == ["signals", "samples", "rules", "incidents", "actions", "bus"]
    for place, (name, floor) in enumerate(zip(path, floors, strict=True)):
        assert (ROOT / "supervisor" / name).is_file()
        for file in sorted((ROOT / "supervisor" / floor).rglob("*.py")):
            imported = set(re.findall(r"^\s*(?:from|import) supervisor\.(\w+)", file.read_text("utf-8"), re.MULTILINE))
            assert not imported & {*floors[place + 1 :], "core", "daemon"}, (floor, file.name)
