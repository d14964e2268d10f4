"""Takes scarce resources away from the scheduler: KV pages, evictable radix nodes, request rows."""

from exhausters.engine.api import NodeView
from exhausters.pressure.base import Exhauster
from exhausters.pressure.kv_pool import ScriptedKvPoolExhauster
from exhausters.pressure.levels import PressureLevels, check_level
from exhausters.pressure.lock_refs import ScriptedLockRefExhauster
from exhausters.pressure.pressure_set import PressureHoldings, PressureSet
from exhausters.pressure.req_rows import ScriptedReqRowExhauster

__all__ = [
    "Exhauster",
    "NodeView",
    "PressureHoldings",
    "PressureLevels",
    "PressureSet",
    "ScriptedKvPoolExhauster",
    "ScriptedLockRefExhauster",
    "ScriptedReqRowExhauster",
    "check_level",
]
