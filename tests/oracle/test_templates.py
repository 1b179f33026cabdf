"""Our expansion of annotations against Prometheus' own: written and generated templates, over several alerts, text by
text. Failed expansions count, too: the error text is the same, word for word.

RESURGAM_PROMTOOL names another promtool, RESURGAM_ORACLE_SEEDS (`first:count`; the first alone counts) other templates.
"""

import os
import random
import re
from pathlib import Path

import yaml

from supervisor.rules.promql.evaluate import evaluate
from supervisor.rules.promql.parse import compile_expr
from supervisor.rules.templates import Around, Template, TemplateError
from supervisor.rules.templates.values import mended
from tests.support.promtool import promtool
from tests.support.rules import filled

VALUES = (
    *("0", "1", "-1", "3", "0.1", "0.95", "12.5", "-97.25", "999.96", "1000", "1234567.5", "1000000", "100000"),
    *("0.000012345", "1e21", "3700.5", "86400", "172799", "1099511627776", "20480", "NaN", "+Inf", "-Inf", "0.0001"),
    *("59.5", "1435065584.128", "-0.5", "5e-324", "123456789012"),
)
NAMES = ("oracle", "", 'q"uo\\te', "héllo wörld", "a-b_c.d:80", "[::1]:9090", "10.0.0.7:9100", "3.5", "1h30m")
QUERIED = {'q{i="b"}': "2", 'q{i="a",job="z"}': "1.5", 'q{i="c"}': "NaN", 'one{x="y"}': "7"}
WRITTEN = Path(__file__).with_name("templates.txt").read_text().split("\n%%\n")
"""What people write, and every corner that was found to differ once."""
MADE = 400
SEED = int(os.environ.get("RESURGAM_ORACLE_SEEDS", "1").partition(":")[0])
_ANNOTATION = re.compile(r'(t\d{4})="((?:\\.|[^"\\])*)"')
_ESCAPE = re.compile(r'\\(?:x(..)|u(....)|U(.{8})|([abfnrtv\\"]))')
_SIMPLE = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))
_OLDER = (
    (": incompatible types for comparison: [\\w.]+ and [\\w.]+", ": incompatible types for comparison"),
    ("(Value|type) interface {}", "\\1 float64"),
)
"""What Prometheus says in more words since 2.42."""


def unescaped(text: str) -> str:
    """The text of a Go string as promtool prints it; a byte that is no UTF-8 stands alone in it."""

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return bytes([int(match[1], 16)]).decode("utf-8", "surrogateescape")
        return _SIMPLE[match[4]] if match[4] else chr(int(match[2] or match[3], 16))

    return mended(_ESCAPE.sub(one, text))


class Maker:
    """Writes random templates: mostly meaningful ones, with now and then a value where it does not belong."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names: list[str] = []

    def pick(self, *choices: str) -> str:
        return self.chance.choice(choices)

    def template(self) -> str:
        self.names = []
        return "".join(self.part(2) for _ in range(self.chance.randint(1, 3)))

    def part(self, depth: int) -> str:
        kind = self.chance.random()
        if depth and kind < 0.15:
            other = self.pick("", "{{ else }}" + self.part(0), "{{ else if " + self.truth(1) + " }}" + self.part(0))
            return "{{ if " + self.truth(2) + " }}" + self.part(depth - 1) + other + "{{ end }}"
        if depth and kind < 0.25:
            other = self.pick("", "{{ else }}none")
            return "{{ with " + self.text(1) + " }}<{{ . }}" + self.part(depth - 1) + other + "{{ end }}"
        if depth and kind < 0.35:
            head = self.pick(
                "$k, $v := $labels", "$v := .Labels", '$k, $v := query "q" | sortByLabel "i"', '$v := query "nothing"'
            )
            leave = self.pick("", "", '{{ if eq (printf "%v" $v) "j" }}{{ break }}{{ end }}')
            return "{{ range " + head + " }}" + leave + "{{ $v }}," + self.part(0) + "{{ end }}"
        if kind < 0.45:
            name = f"$x{len(self.names)}"
            declared = "{{ " + name + " := " + self.value(2) + " }}"
            if depth == 2:
                self.names.append(name)
            return declared + "{{ " + name + " }}"
        left, right = self.pick("{{ ", "{{", " {{- "), self.pick(" }}", "}}", " -}} ")
        return self.pick("", "text ", "é: ") + left + self.value(3) + right

    def value(self, depth: int) -> str:
        if self.names and self.chance.random() < 0.2:
            return self.chance.choice(self.names)
        return self.chance.choice((self.text, self.number, self.truth, self.printed))(depth)

    def inner(self, depth: int, kind: str = "") -> str:
        """An argument: an atom, or brackets."""
        odd = not kind or self.chance.random() < 0.07
        make = self.chance.choice((self.text, self.number)) if odd else self.text if kind == "text" else self.number
        made = self.value(depth - 1) if odd and depth > 1 else make(max(0, depth - 1))
        simple = " " not in made or (made[0] in '"`' and made.count(made[0]) == 2)
        return made if simple else f"({made})"

    def text(self, depth: int) -> str:
        if not depth:
            return self.pick("$labels.name", "$labels.job", ".Labels.name", '"a b"', "`x\\n`", '"é\\t"', "$labels.no")
        some, number = self.inner(depth, "text"), self.inner(depth, "number")
        shown = self.pick("humanize", "humanize1024", "humanizePercentage", "humanizeDuration", "humanizeTimestamp")
        changed = self.pick("toUpper", "toLower", "stripPort", "stripDomain", "html", "urlquery", "js")
        pattern, into = self.pick("(.)(.)", "[a-z]+", "^.*$", "o*", "x|"), self.pick("<$1>", "", "$0-", "$$")
        return self.pick(
            f"{self.text(0)} | {changed}",
            f'reReplaceAll "{pattern}" "{into}" {some}',
            f"print {some} {number}",
            f"slice (print $labels.job {number}) {self.pick('0', '1', '0 1', '2 1', '1 40')}",
            f"{number} | {shown}",
            f"index $labels {self.pick('`name`', '`no`', '`job`', '1')}",
            f'query "q" | sortByLabel "i" | first | label "{self.pick("i", "job", "no")}"',
            f'({number} | toTime).Format "{self.pick("2006-01-02", "15:04:05.000", "Jan _2")}"',
        )

    def number(self, depth: int) -> str:
        if not depth:
            return self.pick("$value", ".Value", "3.5", "-2", "0x1F", "1e3", "0.0", "42", "'a'")
        return self.pick(
            f"len {self.inner(depth, 'text')}",
            'query "one" | first | value',
            f'parseDuration "{self.pick("5m", "1h30m", "x")}"',
            f"index {self.inner(depth, 'text')} {self.pick('0', '1')}",
            self.number(0),
        )

    def truth(self, depth: int) -> str:
        compared, kind = self.pick("eq", "ne", "lt", "le", "gt", "ge"), self.pick("text", "number")
        some, other = self.inner(depth, kind), self.inner(depth, kind)
        return self.pick(
            f"{compared} {some} {other}",
            f"{self.pick('and', 'or')} {some} {other} {self.inner(depth)}",
            f"not {some}",
            f'match "{self.pick("^o", "[0-9]+", "é", "a.b$")}" {self.inner(depth, "text")}',
            f"{compared} $value {self.pick('3.0', '0.0', '1e6', '1')}",
        )

    def printed(self, depth: int) -> str:
        count = self.chance.randint(1, 3)
        verbs = [
            "%"
            + self.pick("", "", "", "-", "+", "0", " ", "#", "+0", "-0", "# ")
            + self.pick("", "", "6", "12", "1")
            + self.pick("", "", ".0", ".1", ".2", ".4", ".12", ".")
            + self.pick(
                "v", "v", "s", "d", "f", "f", "g", "e", "q", "x", "X", "t", "T", "c", "b", "o", "U", "%", "z", "G"
            )
            for _ in range(count)
        ]
        args = [
            self.inner(depth, self.pick("text", "number")) for _ in range(self.chance.randint(max(0, count - 1), 3))
        ]
        return f'printf "{self.pick("", "a ")}{"|".join(verbs)}" {" ".join(args)}'.rstrip()


def test_every_template_expands_as_in_prometheus(tmp_path: Path) -> None:
    maker = Maker(SEED)
    texts = [*WRITTEN, *(maker.template() for _ in range(MADE))]
    annotations = {f"t{index:04d}": text for index, text in enumerate(texts)}
    rules = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x", "annotations": annotations}]}]}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(rules))
    data = {}
    for index, value in enumerate(VALUES):
        name = NAMES[index % len(NAMES)].replace("\\", "\\\\").replace('"', '\\"')
        data[f'x{{name="{name}",job="j",addr="h:80",i="{index:02d}"}}'] = value
    test = {
        "rule_files": ["r.yaml"],
        "tests": [
            {
                "interval": "1m",
                "external_labels": {"region": "eu"},
                "external_url": "http://prom.example:9090/p",
                "input_series": [{"series": name, "values": value} for name, value in (data | QUERIED).items()],
                "alert_rule_test": [{"eval_time": "0s", "alertname": "A", "exp_alerts": []}],
            }
        ],
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(test))
    said = promtool("test", "rules", "t.yaml", cwd=tmp_path)
    theirs = {}
    for labels, notes in re.findall(r"Labels:\{(.*)\}\n\s+Annotations:\{(.*)\}", said):
        number = re.search(r'\bi="(\d\d)"', labels)
        assert number
        theirs[int(number[1])] = {key: unescaped(value) for key, value in _ANNOTATION.findall(notes)}
    assert len(theirs) == len(VALUES), said[-3000:]
    store = filled(data | QUERIED)

    def query(text: str) -> list[tuple[dict[str, str], float]]:
        found = evaluate(compile_expr(text).node, store, 0)
        assert isinstance(found, list)
        return [(dict(labels), value) for labels, value in found]

    around = Around(query, {"region": "eu"}, "http://prom.example:9090/p", 0.0, "A")
    parsed = [Template.parse(text) for text in texts]
    wrong = []
    found = evaluate(compile_expr("x").node, store, 0)
    assert isinstance(found, list)
    for result, value in found:
        labels = dict(result)
        for index, template in enumerate(parsed):
            mine, their = template.expand(labels, value, around), theirs[int(labels["i"])][f"t{index:04d}"]
            if plain(mine) != plain(their) and not ours_is_right(template.text, value):
                wrong.append(
                    f"{template.text}\n  of {value} {labels.get('name')!r}\n  mine   {mine!r}\n  theirs {their!r}"
                )
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:10])


def plain(text: str) -> str:
    """A text in the words of an older Prometheus, as long as ours may be."""
    for newer, older in _OLDER:
        text = re.sub(newer, older, text)
    return text[:4095]


def ours_is_right(text: str, value: float) -> bool:
    """A duration of more seconds than an int64 holds is garbage there."""
    return "humanizeDuration" in text and abs(value) >= 2.0**63


PIECES = (
    *(
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "(",
        ")",
        "|",
        ":=",
        "=",
        "$x",
        "$",
        ".",
        "nil",
        "if",
        "else",
        "end",
        "range",
        "with",
    ),
    *(
        '"',
        "`",
        "'",
        "\\",
        "{{ end }}",
        "{{ else }}",
        "{{ if 1 }}",
        "{{ range . }}",
        "{{ break }}",
        "{{/*",
        "*/}}",
        "\n",
    ),
    *(
        '{{ define "d" }}',
        '{{ template "d" }}',
        '{{ block "d" . }}',
        "0x",
        "1_0",
        "089",
        "'a'",
        "1e",
        "é",
        "#",
        ",",
        "$labels",
    ),
    *(
        "print",
        "nope",
        "true",
        ".a.b",
        "-",
        "+1",
        ";",
        "/",
        "\t",
        "{{ continue }}",
        '"\\z"',
        '"\\u00e9"',
        "$nope",
        "break",
    ),
)
BROKEN = 2500


def test_what_prometheus_cannot_read_is_a_mistake_here_and_nothing_else(tmp_path: Path) -> None:
    maker = Maker(SEED + 1)
    chance = maker.chance
    texts = []
    for _ in range(BROKEN):
        text = chance.choice(WRITTEN) if chance.random() < 0.5 else maker.template()
        for _ in range(chance.randint(1, 3)):
            start = chance.randint(0, len(text))
            text = text[:start] + chance.choice(("", *PIECES)) + text[start + chance.choice((0, 0, 1, 2, 5)) :]
        texts.append(text)
    annotations = {f"t{index:04d}": text for index, text in enumerate(texts)}
    rules = {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x", "annotations": annotations}]}]}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(rules, allow_unicode=True))
    said = promtool("check", "rules", "r.yaml", cwd=tmp_path)
    refused = dict(re.findall(r'annotation "(t\d{4})": (.*)', said))
    assert len(refused) > BROKEN / 10, said[-2000:]
    wrong = []
    for name, text in annotations.items():
        mistake = ""
        try:
            Template.parse(text)
        except TemplateError as err:
            mistake = str(err)
        if bool(mistake) != (name in refused):
            wrong.append(f"{text!r}\n  mine   {mistake}\n  theirs {refused.get(name)}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong[:15])
