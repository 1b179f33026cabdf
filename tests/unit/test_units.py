"""Text that people write, read the way the field reads it."""

import pytest

from supervisor import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1w", 604800),
        ("1y", 31536000),
        ("250ms", 0.25),
        ("0", 0),
        ("1d2h", 93600),
    ],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize("text", ["9" * 400 + "y", "293y", "1" + "0" * 90 + "w"])
def test_a_duration_that_no_number_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is longer than 292 years|is not a duration"):
        units.duration(text)


@pytest.mark.parametrize("text", ["", "5", "m", "1m1h", "-5m", "5 minutes", "1.5h", "5M"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90s, 5m or 1h30m"):
        units.duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.85, "850ms"),
        (4.2, "4.2s"),
        (12, "12s"),
        (300, "5m"),
        (330, "5m30s"),
        (7500, "2h05m"),
        (273600, "3d4h"),
        (-5, "-5s"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert units.show_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("90GiB", 90 * 2**30),
        ("512MB", 512_000_000),
        ("1000", 1000),
        ("1.5KiB", 1536),
        ("2 TiB", 2 * 2**40),
        ("1g", 10**9),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert units.size(text) == count


@pytest.mark.parametrize("text", ["18446744073709555712", "8EiB", "8192PiB", "9" * 400, "9" * 60 + ".5 PiB"])
def test_a_size_that_the_kernel_would_wrap_around_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        units.size(text)
    assert units.size("8191PiB") < 2**63


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "1GiBps", "1e3"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90GiB or 512MB"):
        units.size(text)


@pytest.mark.parametrize(
    ("count", "binary", "decimal"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (1000, "1000 B", "1 kB"),
        (1536, "1.5 KiB", "1.5 kB"),
        (341e9, "317.6 GiB", "341 GB"),
        (2**30 - 1, "1 GiB", "1.1 GB"),
        (-(2**20), "-1 MiB", "-1 MB"),
        (2**52, "4096 TiB", "4503.6 TB"),
    ],
)
def test_sizes_for_people(count: float, binary: str, decimal: str) -> None:
    assert units.show_size(count) == binary
    assert units.show_size(count, decimal=True) == decimal


def test_a_budget_is_read_and_shown_the_same() -> None:
    assert units.Budget.parse("3 in 1h") == units.Budget(3, 3600.0)
    assert str(units.Budget.parse("10 in 1d")) == "10 in 1d"
    with pytest.raises(ValueError, match="3 in 1h"):
        units.Budget.parse("three an hour")


@pytest.mark.parametrize(
    ("matcher", "labels", "holds"),
    [
        ('alertname="X"', {"alertname": "X"}, True),
        ('alertname="X"', {"alertname": "XY"}, False),
        ('name=~"vllm-.*"', {"name": "vllm-7"}, True),
        ('name=~"vllm"', {"name": "my-vllm-7"}, False),
        ('name!~"a|b"', {"name": "c"}, True),
        ('absent=""', {}, True),
        ('absent!=""', {}, False),
        ('text="say \\"hi\\""', {"text": 'say "hi"'}, True),
        ('name=~".*"', {"name": "two\nlines"}, True),
    ],
)
def test_matchers_are_those_of_alertmanager_anchored_and_a_missing_label_is_empty(
    matcher: str, labels: dict[str, str], holds: bool
) -> None:
    assert units.Matcher.parse(matcher).matches(labels) is holds


def test_no_pattern_can_stall_us() -> None:
    assert not units.Matcher.parse('name=~"(a+)+$"').matches({"name": "a" * 5000 + "!"})


@pytest.mark.parametrize("text", ["", "name", '="x"', 'name=~"("'])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"matcher|regular expression"):
        units.Matcher.parse(text)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("password=hunter2 next", "password=*** next"),
        ("API_KEY: abc123", "API_KEY: ***"),
        ("Authorization: Bearer eyJhbGciOi", "Authorization: Bearer ***"),
        ('{"token": "abc", "x": 1}', '{"token": "***", "x": 1}'),
        ("connect to redis://user:s3cret@db:6379/0", "connect to redis://user:***@db:6379/0"),
        ("http://host:8000/health is fine", "http://host:8000/health is fine"),
        ("no secret here", "no secret here"),
    ],
)
def test_what_looks_like_a_secret_is_blanked_out_of_log_text(said: str, kept: str) -> None:
    assert units.mask(said) == kept


def test_text_from_outside_is_bounded_and_cannot_move_the_cursor() -> None:
    assert units.plain("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"
    assert units.plain("x" * 5000, 10) == "xxxxxxxxx…"
    assert len(units.plain("x" * 5000)) == 4096


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (139, "exit 139 (SIGSEGV)"),
        (137, "exit 137 (SIGKILL)"),
        (1, "exit 1"),
        (255, "exit 255"),
        (None, "an unknown exit code"),
    ],
)
def test_exit_codes_are_named_as_people_know_them(code: int | None, words: str) -> None:
    assert units.exit_words(code) == words


@pytest.mark.parametrize(
    "text",
    [
        "a." * 50_000,
        "-" * 100_000,
        "token" * 8_000,
        "://" * 30_000,
        "x://y:" * 20_000,
        "token" + " " * 100_000,
        "a" * 100_000,
    ],
)
def test_no_text_of_a_container_keeps_the_mask_busy(text: str) -> None:
    assert units.mask(text) == text


def test_what_looks_like_a_secret_is_masked_wherever_its_name_stands() -> None:
    assert units.mask("MY_DB.PASSWORD_MAIN = 'abc' x") == "MY_DB.PASSWORD_MAIN = '***' x"
    assert units.mask("postgres+psycopg2://app:hunter2@db/x") == "postgres+psycopg2://app:***@db/x"
