"""Drift: what a service runs against what last proved healthy there, and against what its reference stands for now.

From: state.py, whenever how a service stands is derived anew. To: its tally and the rows `drift.*`, at a change only.
"""

from typing import TYPE_CHECKING

from supervisor import units
from supervisor.facts import Container, Json
from supervisor.services import names
from supervisor.services.record import Record

if TYPE_CHECKING:
    from supervisor.services.state import State


def look(state: "State", record: Record, container: Container | None, proved: str) -> None:
    """Compare, and tell what changed. `proved`: the image that last proved healthy, '' for none."""
    if container is None:
        return
    stands_for = container.ref_image_id if names.canonical_ref(container.image_ref) else ""
    drift = ""
    if proved and container.image_id != proved:
        drift = "unproved"
    elif stands_for and container.image_id != stands_for:
        drift = "tag_moved"
    if drift == record.tally.drift:
        return
    record.tally.drift = drift
    state.keep_tally(record)
    ref, runs = container.image_ref, units.short_image(container.image_id)
    data: Json = {"ref": ref, "running": container.image_id, "proved": proved, "stands_for": stands_for}
    if drift == "unproved":
        text = f"{record.id} runs {runs} ({ref}); what last proved healthy is {units.short_image(proved)}."
    elif drift == "tag_moved":
        text = f"{record.id} runs {runs}, but {ref} now stands for {units.short_image(stands_for)}."
    else:
        text = f"{record.id} runs the image it should: {runs} ({ref})."
    state.tell(f"drift.{drift or 'cleared'}", record, container, **data, text=text)
