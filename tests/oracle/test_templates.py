"""Our expansion of labels and annotations against Prometheus' own, value by value."""

import re
from pathlib import Path

import yaml

from supervisor.rules import alerts
from supervisor.rules.promql.evaluate import evaluate
from tests.support.promtool import promtool
from tests.support.rules import filled, ruleset

VALUES = (
    *("0", "1", "-1", "3", "0.1", "0.95", "12.5", "-97.25", "999.96", "1000", "1234567.5", "1000000", "100000"),
    *("0.000012345", "1e21", "3700.5", "86400", "172799", "1099511627776", "20480", "NaN", "+Inf", "-Inf", "0.0001"),
    "59.5",
)
TEMPLATES = r"""
{{ $value }}
{{ .Value }}
{{ $labels }}
{{ $labels.name }} {{ .Labels.name }} {{ $labels.none }}!
{{$labels.name}}
{{ $value | humanize }}
{{ $value | humanize1024 }}B
{{ $value | humanizePercentage }}
{{ printf "%.2f" $value }}
{{ $value | printf "%.0f%%" }}
{{ printf "%v %g %.3g %e" $value $value $value $value }}
{{ printf "%6.1f|%-8.2f|%08.2f %+.1f" $value $value $value $value }}
{{ printf "%d %s %q %t" $value $value $labels.name true }}
{{ printf "%s" }} {{ printf "x" 1 }}
{{ print $value "a" 1 2 }}
{{ if gt $value 3.0 }}big{{ else if lt $value 0.0 }}negative{{ else }}small{{ end }}
{{ if ge $value 3.0 }}big{{ else if le $value 0.0 }}negative{{ else }}small{{ end }}
{{ with $labels.name }}<{{ . }}>{{ end }}{{ with $labels.none }}no{{ else }}none{{ end }}
{{ if eq $labels.name "oracle" }}yes{{ end }}{{ if and (ne $labels.name "x") (not false) }}!{{ end }}
{{ reReplaceAll "(o)(r.*)" "<$1|$2>" $labels.name }} {{ if match "^or" $labels.name }}m{{ end }}
{{ $labels.name | toUpper }} {{ $labels.name | title | printf "%s-%s" $labels.job }} {{ $labels.addr | stripPort }}
a {{- $labels.name -}} b {{/* nothing */}} c
{{ `raw \n` }} {{ "esc\t\"q\"" }}
{{ $labels.name | len }}
plain } { text
""".strip().splitlines()
_ANNOTATION = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')


def test_every_template_expands_as_in_prometheus(tmp_path: Path) -> None:
    annotations = {f"t{index:02d}": text for index, text in enumerate(TEMPLATES)}
    annotations["duration"] = "{{ $value | humanizeDuration }}"
    text = yaml.safe_dump(
        {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x", "annotations": annotations}]}]}
    )
    (tmp_path / "r.yaml").write_text(text)
    data = {f'x{{name="oracle",job="j",addr="h:80",i="{index:02d}"}}': value for index, value in enumerate(VALUES)}
    test = {
        "rule_files": ["r.yaml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": value} for name, value in data.items()],
                "alert_rule_test": [{"eval_time": "0s", "alertname": "A", "exp_alerts": []}],
            }
        ],
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(test))
    said = promtool("test", "rules", "t.yaml", cwd=tmp_path)
    theirs = {}
    for labels, notes in re.findall(r"Labels:\{(.*)\}\n\s+Annotations:\{(.*)\}", said):
        number = dict(_ANNOTATION.findall(labels))["i"]
        theirs[number] = {key: value.encode().decode("unicode_escape") for key, value in _ANNOTATION.findall(notes)}
    rule = ruleset(text).rules[0]
    mine = alerts.step(rule, {}, evaluate(rule.expr.node, filled(data), 0), 0.0).active
    assert len(theirs) == len(VALUES) == len(mine), said[-2000:]
    for alert in mine.values():
        number = alert.labels["i"]
        if VALUES[int(number)] == "1e21":  # their duration overflows an int64 there; ours is right
            theirs[number].pop("duration"), alert.annotations.pop("duration")
        for key, expanded in alert.annotations.items():
            assert expanded == theirs[number][key], f"{annotations[key]} of {VALUES[int(number)]}"
