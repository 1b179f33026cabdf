"""The `rev` in the documents of services and of the daemon: what a command's `if_rev` is compared with."""

from supervisor import views
from tests.support.boxes import box, oracle


def test_the_rev_is_the_newest_public_row_about_it_and_0_where_there_is_none() -> None:
    shown = box(revisions={"stack.oracle": 41, "daemon": 7}, rev=99)
    assert views.container_document(oracle(), shown)["rev"] == 41
    assert views.daemon_document(shown)["rev"] == 7
    assert views.container_document(oracle(), box(revisions={}))["rev"] == 0
    assert views.daemon_document(box(revisions={}))["rev"] == 0
