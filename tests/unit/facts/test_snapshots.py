"""What snapshots say of themselves."""

from supervisor.facts import RuleHealth


def test_the_complaints_about_a_file_are_lines_that_name_it_once() -> None:
    health = RuleHealth("/r/a.yaml", 0, "/r/a.yaml:6:5: a key twice\nLoop: division by zero")
    assert health.complaints == ("/r/a.yaml:6:5: a key twice", "/r/a.yaml: Loop: division by zero")
    assert RuleHealth("/r/a.yaml", 3).complaints == ()
