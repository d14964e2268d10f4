"""Every promise there is, in the order in which they are shown."""

from __future__ import annotations

from exhausters.oracles.base import Oracle
from exhausters.oracles.budget_honesty import BudgetHonesty
from exhausters.oracles.cache_honesty import CacheHonesty
from exhausters.oracles.conservation import Conservation
from exhausters.oracles.full_flag import FullFlag
from exhausters.oracles.liveness import Liveness
from exhausters.oracles.lock_ledger import LockLedger
from exhausters.oracles.ranks_agree import RanksAgree
from exhausters.oracles.rounds import IdleCost, NothingGrows
from exhausters.oracles.same_text import SameText
from exhausters.oracles.slot_ownership import SlotOwnership
from exhausters.oracles.starvation import StarvationBound
from exhausters.oracles.work_conservation import WorkConservation

PROMISES: tuple[type[Oracle], ...] = (
    WorkConservation,
    FullFlag,
    StarvationBound,
    Conservation,
    LockLedger,
    Liveness,
    BudgetHonesty,
    CacheHonesty,
    SlotOwnership,
    SameText,
    RanksAgree,
    NothingGrows,
    IdleCost,
)
