"""A failure is remembered for a model on an image, until it works after all."""

from supervisor.slots.nogo import MOST, NoGo, NoGos


def test_it_counts_for_that_image_alone_and_until_it_works() -> None:
    known = NoGos({})
    known.failed("oracle", "mxfp4", "sha256:a", NoGo("too slow", 1.0, 41))
    again = NoGos({key: value for key, value in known.take_puts().items() if value is not None})
    assert again.why("oracle", "mxfp4", "sha256:a") == "too slow"
    assert again.why("oracle", "mxfp4", "sha256:b") == ""
    assert again.why("oracle", "v32", "sha256:a") == ""
    again.worked("oracle", "mxfp4", "sha256:a")
    assert again.why("oracle", "mxfp4", "sha256:a") == ""
    assert again.take_puts() == {"oracle|mxfp4|sha256:a": None}
    again.worked("oracle", "mxfp4", "sha256:a")
    assert not again.take_puts()


def test_the_oldest_is_forgotten_first() -> None:
    known = NoGos({})
    for number in range(MOST + 1):
        known.failed("oracle", "m", f"sha256:{number}", NoGo("no", float(number)))
    assert known.why("oracle", "m", "sha256:0") == ""
    assert known.why("oracle", "m", f"sha256:{MOST}") == "no"
