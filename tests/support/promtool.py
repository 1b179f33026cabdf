"""promtool as an oracle: it is given tests that expect nonsense, and says for each question what it got instead.

RESURGAM_PROMTOOL names another one than the first on the PATH.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from supervisor.facts import Labels
from tests.support.rules import number, series

_ELEMENT = re.compile(r"(\{.*?\}) (\S+?)(?:, (?=\{)|$)")
_RESULT = re.compile(r'^    expr: "(?P<expr>.*)", time: (?P<time>\S+?),(?: err: (?P<err>.*))?$')


def promtool(*args: str, cwd: Path) -> str:
    """What promtool says (both streams). It must be there: a missing oracle is a failure, not a skip."""
    tool = os.environ.get("RESURGAM_PROMTOOL") or shutil.which("promtool")
    assert tool, "promtool is missing; install Debian's package `prometheus`"
    done = subprocess.run([tool, *args], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


@cache
def modern() -> bool:
    """Whether the promtool at hand has the semantics of Prometheus 3."""
    return "version 2." not in promtool("--version", cwd=Path())


def elements(got: str) -> dict[Labels, float]:
    """promtool's `got:` line as label set -> value."""
    if got.strip() == "nil":
        return {}
    return {series(text): number(value) or 0.0 for text, value in _ELEMENT.findall(got.strip())}


def ask_lines(data: dict[str, str], questions: list[tuple[str, str]]) -> list[str]:
    """A promtool test over these series that expects nonsense of every (expression, time)."""
    lines = ["  input_series:"]
    lines += [f"  - {{series: '{name}', values: '{values}'}}" for name, values in data.items()]
    lines.append("  promql_expr_test:")
    for expr, time in questions:
        lines.append(f"  - {{expr: '{expr}', eval_time: {time}, exp_samples: [{{labels: 'nonsense{{}}', value: 1}}]}}")
    return lines


def answers(said: str) -> list[tuple[dict, str]]:
    """What promtool made of each question: its elements, or its error."""
    lines = said.splitlines()
    found = []
    for index, line in enumerate(lines):
        match = _RESULT.match(line)
        if match:
            error = match["err"] or ""
            found.append(({} if error else elements(lines[index + 2].partition("got: ")[2]), error))
    assert found, said[-2000:]
    return found


def ask(
    folder: Path, data: dict[str, str], questions: list[tuple[str, str]], step: int, late: bool = False
) -> list[tuple[dict, str]]:
    """What promtool makes of each (expression, time). `late`: with delayed name removal (from Prometheus 3 on)."""
    # promtool loads samples only up to its last evaluation: a question far away makes every one of them known
    lines = [f"evaluation_interval: {step}s", "tests:", f"- interval: {step}s"]
    (folder / "t.yaml").write_text("\n".join(lines + ask_lines(data, [*questions, ("vector(1)", "1h")])))
    flags = ["--enable-feature=promql-experimental-functions"] if modern() else []
    flags += ["--enable-feature=promql-delayed-name-removal"] if late else []
    found = answers(promtool(*flags, "test", "rules", "t.yaml", cwd=folder))
    assert len(found) == len(questions) + 1
    return found[:-1]
