"""The engine as the harness sees it: protocols and frozen records, with no object of SGLang's in them.

Names that scripts and grids know from SGLang (`sampling`, `lora_path`, `policy`) keep their meaning here.

`records` has what is read (batches, pools, nodes), `parts` the pools and the tree that pressure is put on,
`engine` the scheduler as a whole and what boots it, `ranks` the processes that an engine may consist of.
`exhausters.engine.sglang` implements all of it for the real scheduler, `exhausters.engine.fake` for a small
one in plain Python.
"""

from exhausters.engine.api.engine import (
    Boot,
    Engine,
    EngineHook,
    EngineListener,
    OutputListener,
    RequestView,
)
from exhausters.engine.api.parts import HostListener, HostPool, KvPool, PrefixTree, RowPool
from exhausters.engine.api.ranks import ALONE, ONLY_RANK, Place, World
from exhausters.engine.api.records import (
    DECODE,
    EVICT,
    FORM_BATCH,
    FREE_PAGE,
    IDLE,
    MATCH,
    MIXED,
    MODES,
    NO_PARENT,
    PADDING_PAGE,
    PREFILL,
    PROCESS_RESULT,
    RETRACT,
    RUN,
    WRITTEN_BY_TWO,
    BatchView,
    BootFacts,
    Demand,
    ImportedSources,
    LastBatch,
    MethodPoint,
    NodeView,
    PoolSnapshot,
    SlotFault,
    SourceFolders,
    Submission,
)

__all__ = [
    "ALONE",
    "DECODE",
    "EVICT",
    "FORM_BATCH",
    "FREE_PAGE",
    "IDLE",
    "MATCH",
    "MIXED",
    "MODES",
    "NO_PARENT",
    "ONLY_RANK",
    "PADDING_PAGE",
    "PREFILL",
    "PROCESS_RESULT",
    "RETRACT",
    "RUN",
    "WRITTEN_BY_TWO",
    "BatchView",
    "Boot",
    "BootFacts",
    "Demand",
    "Engine",
    "EngineHook",
    "EngineListener",
    "HostListener",
    "HostPool",
    "ImportedSources",
    "KvPool",
    "LastBatch",
    "MethodPoint",
    "NodeView",
    "OutputListener",
    "Place",
    "PoolSnapshot",
    "PrefixTree",
    "RequestView",
    "RowPool",
    "SlotFault",
    "SourceFolders",
    "Submission",
    "World",
]
