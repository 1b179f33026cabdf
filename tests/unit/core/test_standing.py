"""How far back samples are kept: for what rules ask, and for what playbooks ask beyond them."""

import pytest

from supervisor.config import Settings
from supervisor.core.assembling import assemble
from supervisor.core.standing import MEMORY, Loaded
from supervisor.facts import Reloaded
from supervisor.incidents.playbooks import Playbook
from supervisor.journal import Journal
from supervisor.lab.loop import SimLoop
from supervisor.rules import RuleSet
from tests.support.incidents import books

ASKS = """\
playbooks:
- name: p
  match: ['alertname="A"']
  {unless}
  steps: [{{do: restart{verify}}}]
"""
UNLESS = books(ASKS.format(unless="unless: changes(x[2h]) > 0", verify=""))
VERIFY = books(ASKS.format(unless="on: firing", verify=", verify: {expr: 'x == 1 and changes(x[3h]) == 0'}"))


def loaded(playbooks: tuple[Playbook, ...]) -> Loaded:
    return Loaded(Settings(host="sim"), RuleSet(), playbooks)


@pytest.mark.parametrize(("playbooks", "seconds"), [((), MEMORY), (UNLESS, 7200.0), (UNLESS + VERIFY, 10800.0)])
def test_what_a_playbook_looks_back_to_is_kept(playbooks: tuple[Playbook, ...], seconds: float) -> None:
    assert loaded(playbooks).retention() == seconds


def test_it_is_kept_from_the_start_and_from_a_reload() -> None:
    clock = SimLoop().clock
    journal = Journal.open(None, clock)
    decider = assemble(loaded(UNLESS), journal, clock)
    assert 7200.0 <= decider.store.kept < 10800.0
    decider.begin(journal.batch(), clock.wall(), clock.mono())
    decider.take(Reloaded(clock.wall(), clock.mono(), loaded(VERIFY), "read again"), None)
    assert decider.store.kept >= 10800.0
