"""Test results as JUnit XML, as continuous integration reads it: one suite a file, one case a test.

In: `FileRun`s. Out: text. The shape is that of promtool's `--junit`, with the place of each failure in its text.
"""

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from supervisor.lab.outcomes import CaseRun, Failure, FileRun

_BAD = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""what XML cannot hold at all, escaped or not"""


def xml(runs: Sequence[FileRun], stamp: str) -> str:
    """A whole document. `stamp`: when the tests ran (RFC 3339)."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for run in runs:
        lines += _suite(run, stamp)
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _suite(run: FileRun, stamp: str) -> list[str]:
    numbers = f'tests="{len(run.tests) or 1}" failures="{run.failed}" errors="{1 if run.mistakes else 0}" skipped="0"'
    lines = [f'  <testsuite name={_attribute(run.file)} {numbers} timestamp="{stamp}">']
    if run.mistakes:
        said = "\n".join(str(mistake) for mistake in run.mistakes)
        lines += ['    <testcase name="the file itself">', f"      <error>{_text(said)}</error>", "    </testcase>"]
    for test in run.tests:
        lines += _case(run.file, test)
    return [*lines, "  </testsuite>"]


def _case(file: str, test: CaseRun) -> list[str]:
    head = f"    <testcase name={_attribute(test.name)} classname={_attribute(file)}"
    if not test.failures:
        return [head + "/>"]
    failures = [
        f"      <failure message={_attribute(failure.text)}>{_text(_said(file, failure))}</failure>"
        for failure in test.failures
    ]
    return [head + ">", *failures, "    </testcase>"]


def _said(file: str, failure: Failure) -> str:
    return "\n".join([f"{file}:{failure.line}:{failure.column}: {failure.text}", *failure.lines])


def _text(text: str) -> str:
    return escape(_BAD.sub("\N{REPLACEMENT CHARACTER}", text))


def _attribute(text: str) -> str:
    return quoteattr(_BAD.sub("\N{REPLACEMENT CHARACTER}", text))
