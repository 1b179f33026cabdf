"""What is said of every scrape itself, under Prometheus' and node_exporter's names.

From: signals/scrapes/watch.py and textfile.py. To: the core, beside the samples that the target offers.
"""

from collections.abc import Mapping

from supervisor.facts import Metric, Sample, labels
from supervisor.services.names import SERIES_LABELS

EVERY = 15.0
"""seconds between two scrapes where nothing else is said"""
UP, SECONDS, SCRAPED = "up", "scrape_duration_seconds", "scrape_samples_scraped"
MTIME, BROKEN = "node_textfile_mtime_seconds", "node_textfile_scrape_error"

METRICS = (
    *(Metric(name, "gauge", ("job", "instance", *SERIES_LABELS), EVERY, free=True) for name in (UP, SECONDS, SCRAPED)),
    Metric(MTIME, "gauge", ("file",), EVERY),
    Metric(BROKEN, "gauge", (), EVERY),
)
"""what is made here"""


def scrape(pairs: Mapping[str, str], up: bool, seconds: float, scraped: int) -> tuple[Sample, ...]:
    """What is said of one scrape. `pairs`: the target's own labels."""
    return (
        Sample(labels(UP, **pairs), float(up)),
        Sample(labels(SECONDS, **pairs), seconds),
        Sample(labels(SCRAPED, **pairs), float(scraped)),
    )
