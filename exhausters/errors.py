"""Everything that can go wrong, as one tree.

    ExhaustersError
    ├── UsageError(ValueError)          bad input: names the value, what was expected, what to do
    │   ├── MissingExtraError           a command needs packages that are not installed; names the extra
    │   ├── LevelError                  a pressure level that is not a non-negative integer
    │   ├── TargetSpecError             a target that cannot be parsed
    │   ├── GridError                   a grid, cell or settings file that makes no sense
    │   ├── FuzzScriptError             a fuzz script, or a corpus of them, that makes no sense
    │   ├── PrefixEvictionError(AssertionError)   a part of the tree cache was to be evicted by its prefix
    │   ├── UnsupportedSettingError     a switch that this SGLang does not have, or a value it refuses
    │   └── WorkloadError               a request, builder argument or trace line that makes no sense
    ├── TargetError                     an SGLang that cannot be made ready
    │   ├── TargetNotFoundError         no such release, folder or commit
    │   ├── InstallError                the installer failed; carries its output
    │   ├── MissingModuleError          an import that no listed distribution provides
    │   ├── SeamError                   the target has none of the known forms of an interface we use
    │   ├── CacheFolderError            the cache cannot be written: a full disk, a read-only folder
    │   └── MirrorError                 a local history of SGLang that cannot be made
    ├── HostError                       the worker is gone or unusable; carries SGLang's message and log tail
    │   ├── BootError                   the scheduler did not come up
    │   ├── SchedulerFailedError        the scheduler raised (and sent SIGQUIT, as SGLang does)
    │   ├── WorkerCrashedError          the process ended by a signal or by itself
    │   ├── WorkerOutOfMemoryError      the process or its pools ran out of memory
    │   ├── RankFailedError             the process of one rank of several raised or ended; names the rank
    │   └── WorkerHungError             no answer within the time limit; the worker was killed
    ├── PressureError                   an exhauster could not do what it was asked
    │   ├── AllocationShortError        the allocator gave less than it reported as available
    │   └── WalkUnsupportedError        the tree offers no walk and no submitted prefix to pin through
    ├── ScriptFailedError(AssertionError)   the script raised; carries the traceback from the worker
    │   └── ResetError                  the engine did not become idle between two scripts
    ├── NotApplicableError              one of SGLang's tests asks for what is not here: ranks, a GPU, a model
    ├── NotHereError                    one of SGLang's tests uses SGLang where only the worker has it
    ├── ConservationError               pages or rows do not add up; names the step and the numbers
    ├── RanksDisagreeError              two ranks decided otherwise; names the step, the rank and the field
    ├── LogFormatError                  a file that is no decision log, is cut off, or of another version
    ├── GoldenTraceError            a file that is no golden trace, or of another version
    ├── ReachMapError                   a file that is no map from cells to functions
    ├── CacheError                      a cached result that a run does not confirm
    ├── ClusterError                    Ray is not there, or no node of it can run this target
    │   └── PlaceLostError              the process or node that made a run was lost, again and again
    └── StoreError                      a folder of records that is missing, broken or of another schema
        └── FolderBusyError             another command writes into the folder

`UsageError` is also a `ValueError` and `ScriptFailedError` also an `AssertionError`, so that callers
who know nothing of this tree catch what they would expect to catch.
"""

from __future__ import annotations

from typing import Any


class ExhaustersError(Exception):
    """Root of every error this project raises on purpose."""


class UsageError(ExhaustersError, ValueError):
    """Bad input. The message names the value, what was expected and what to do."""


class MissingExtraError(UsageError):
    """A command needs packages that only an extra of this project installs; the message names it."""


class LevelError(UsageError):
    """A pressure level that is not a non-negative integer."""


class TargetSpecError(UsageError):
    """A target that is not `release:X`, `path:DIR` or `git:DIR@REV`."""


class GridError(UsageError):
    """A grid, cell or settings file that makes no sense."""


class FuzzScriptError(UsageError):
    """A fuzz script, or a corpus of them, that makes no sense."""


class UnsupportedSettingError(UsageError):
    """A switch that this SGLang does not have, or a value that it refuses; another SGLang may take it."""


class PrefixEvictionError(UsageError, AssertionError):
    """A part of the tree cache was to be evicted by its prefix: only all can be.

    Also an `AssertionError`, by which SGLang's own runtime refuses it.
    """


class WorkloadError(UsageError):
    """A request, builder argument or trace line that makes no sense."""


class TargetError(ExhaustersError):
    """An SGLang that cannot be made ready to run."""


class TargetNotFoundError(TargetError):
    """No such release, folder or commit."""


class InstallError(TargetError):
    """The installer failed; the message ends with the last lines it printed."""


class MissingModuleError(TargetError):
    """The target imports a module that no listed distribution provides.

    Attributes:
        module: dotted name of the module that could not be imported.
        distribution: the distribution that is believed to provide it.
    """

    def __init__(self, message: str, *, module: str, distribution: str) -> None:
        super().__init__(message)
        self.module = module
        self.distribution = distribution

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class SeamError(TargetError):
    """The target has none of the known forms of an interface that the harness uses."""


class CacheFolderError(TargetError):
    """The cache cannot be written: a full disk, a folder that is read-only."""


class MirrorError(TargetError):
    """A local history of SGLang that cannot be made, or a folder that holds something else."""


class HostError(ExhaustersError):
    """The worker is gone or unusable.

    Attributes:
        log_tail: last lines the worker wrote to its log, newest last; may be empty.
        salvaged: what the running script had measured until then, of whatever type; None when it offers
            nothing. A reader checks the type.
    """

    def __init__(self, message: str, *, log_tail: str = "", salvaged: object = None) -> None:
        super().__init__(message)
        self.log_tail = log_tail
        self.salvaged = salvaged

    def __str__(self) -> str:
        message = super().__str__()
        return (
            f"{message}\n--- last lines of the worker's log ---\n{self.log_tail}"
            if self.log_tail
            else message
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class BootError(HostError):
    """The scheduler did not come up."""


class SchedulerFailedError(HostError):
    """The scheduler raised inside its own event loop."""


class WorkerCrashedError(HostError):
    """The worker process ended by a signal or by itself, without an answer."""


class WorkerOutOfMemoryError(HostError):
    """The worker, or one of SGLang's pools inside it, ran out of memory."""


class RankFailedError(HostError):
    """One rank of an engine of several raised, or its process ended; the message names it."""


class WorkerHungError(HostError):
    """The worker gave no answer within the time limit and was killed."""


class PressureError(ExhaustersError):
    """An exhauster could not do what it was asked."""


class AllocationShortError(PressureError):
    """The allocator gave less than it reported as available; what it gave was returned to it.

    Attributes:
        wanted_tokens, given_tokens, available_tokens: the three numbers of the message, in tokens
            (rows for the request-row exhauster).
    """

    def __init__(self, message: str, *, wanted_tokens: int, given_tokens: int, available_tokens: int) -> None:
        super().__init__(message)
        self.wanted_tokens = wanted_tokens
        self.given_tokens = given_tokens
        self.available_tokens = available_tokens

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class WalkUnsupportedError(PressureError):
    """The tree core offers no walk over its nodes and no submitted prefix to pin through."""


class ScriptFailedError(ExhaustersError, AssertionError):
    """A script raised inside the worker; the message is the worker's traceback."""


class ResetError(ScriptFailedError):
    """The engine did not become fully idle between two scripts."""


class ConservationError(ExhaustersError):
    """Pages or rows do not add up; the message names the step and the numbers."""


class RanksDisagreeError(ExhaustersError):
    """Ranks that must decide alike did not; the message names the step, the rank and the field."""


class LogFormatError(ExhaustersError):
    """A file that is no decision log, is cut off, or has another format version."""


class GoldenTraceError(ExhaustersError):
    """A file that is no golden trace, is broken, or of another version; names the place."""


class ReachMapError(ExhaustersError):
    """A file that is no map from cells to functions, is cut off, or of another format."""


class CacheError(ExhaustersError):
    """A result from the cache that the same run does not give now; names the cell and what differs."""


class ClusterError(ExhaustersError):
    """Ray cannot be reached or started, or none of its nodes can run a target; says why."""


class PlaceLostError(ClusterError):
    """The process or node that made a run was lost as often as a run is tried; says why the last time."""


class StoreError(ExhaustersError):
    """A folder of records that is missing, broken or of another schema, or one record that is."""


class FolderBusyError(StoreError):
    """A folder that another command is writing into."""


class NotApplicableError(ExhaustersError):
    """A test asks for what a scheduler alone on a CPU without a model has not; the message says for what."""


class NotHereError(ExhaustersError):
    """A test used, outside its scripts, what only a process with SGLang has."""


def _rebuild(cls: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    """Unpickle an error whose constructor takes keyword-only arguments."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
