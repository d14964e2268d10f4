"""Takes scarce resources away from the scheduler: KV pages, evictable radix nodes, request rows."""

from exhausters.engine.api import NodeView
from exhausters.pressure.base import Exhauster
from exhausters.pressure.holdings import PressureHoldings
from exhausters.pressure.kind import ExhausterKind
from exhausters.pressure.kv_pool import ScriptedKvPoolExhauster
from exhausters.pressure.level_values import ALL, check_level
from exhausters.pressure.levels import PressureLevels
from exhausters.pressure.lock_refs import ScriptedLockRefExhauster
from exhausters.pressure.pressure_set import PressureSet
from exhausters.pressure.registry import kind_of, kinds, level_names, register, unregister
from exhausters.pressure.req_rows import ScriptedReqRowExhauster

__all__ = [
    "ALL",
    "Exhauster",
    "ExhausterKind",
    "NodeView",
    "PressureHoldings",
    "PressureLevels",
    "PressureSet",
    "ScriptedKvPoolExhauster",
    "ScriptedLockRefExhauster",
    "ScriptedReqRowExhauster",
    "check_level",
    "kind_of",
    "kinds",
    "level_names",
    "register",
    "unregister",
]
