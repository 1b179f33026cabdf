"""`--enable-feature=…`, as upstream names its switches: may be repeated, and may hold a list.

In: the command line of `run`, `query` and `test`. Out: which switches are on. UsageError names those that are known.
"""

import argparse

from supervisor.errors import UsageError

DELAYED_NAMES = "promql-delayed-name-removal"
KNOWN = (DELAYED_NAMES,)


def argument(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--enable-feature",
        action="append",
        default=[],
        metavar="NAME",
        help=f"switch on what is off by default, as Prometheus names it: {', '.join(KNOWN)}",
    )


def delayed_names(args: argparse.Namespace) -> bool:
    """Whether metric names are removed at the end of an expression only. UsageError for a feature nobody knows."""
    given = [name.strip() for text in args.enable_feature for name in text.split(",") if name.strip()]
    for name in given:
        if name not in KNOWN:
            raise UsageError(f"there is no feature {name!r}; there is: {', '.join(KNOWN)}")
    return DELAYED_NAMES in given
