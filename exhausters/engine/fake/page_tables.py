"""Whether the pages of the fake engine's living requests are theirs."""

from __future__ import annotations

from exhausters.engine.api import FREE_PAGE, PADDING_PAGE, WRITTEN_BY_TWO, SlotFault
from exhausters.engine.fake.requests import FakeBatch, FakeRequest
from exhausters.engine.fake.scheduler import FakeScheduler


def slot_faults(scheduler: FakeScheduler, batch: FakeBatch | None) -> tuple[SlotFault, ...]:
    """Return what is wrong with the pages of all that own a row; `batch` is the one that runs next."""
    known = dict.fromkeys([*scheduler.holders(), *(batch.requests if batch is not None else [])])
    owners = [one for one in known if one.row is not None]
    free = set(scheduler.pages.free_pages)
    found = []
    for request in owners:
        for place, page in enumerate(request.pages):
            other = "" if page in free or not page else _other_writer(owners, request, place, page)
            if page in free or not page or other:
                found.append(
                    SlotFault(
                        kind=WRITTEN_BY_TWO if other else FREE_PAGE if page in free else PADDING_PAGE,
                        rid=request.rid,
                        position=place * scheduler.pages.page_size,
                        page=page,
                        other_rid=other,
                    )
                )
    return tuple(found)


def _other_writer(owners: list[FakeRequest], request: FakeRequest, place: int, page: int) -> str:
    """Who holds the page as well, where one of the two writes it; empty for nobody."""
    for other in owners:
        for where, held in enumerate(other.pages):
            is_same = other is request and where == place
            if held == page and not is_same and (where >= other.tree_pages or place >= request.tree_pages):
                return other.rid
    return ""
