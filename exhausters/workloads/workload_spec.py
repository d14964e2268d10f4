"""Workloads as text, for grids and the command line.

    spec  = name [":" item {"," item}]
    item  = key "=" value              any argument of the builder or reader
          | path                       first item only, short for path=...

Every builder and reader takes the arguments of `_COMMON` as well, and, for engines of a disaggregated pair,
those of `transferred.py`.

    shared_prefix
    agents:seed=3,turns=4
    mooncake:traces/conversation.jsonl,scale=1/32,max_requests=200

No character of it is special to a shell. In a path `%`, `,` and `=` are written %25, %2C and
%3D. The canonical text names keys in order, without those left at their defaults.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from exhausters.errors import WorkloadError
from exhausters.workloads import adapters, grammars, penalized, priorities, renamed, scored, sessions
from exhausters.workloads.azure import read_azure
from exhausters.workloads.mooncake import read_mooncake
from exhausters.workloads.request_log import read_sglang_log
from exhausters.workloads.synthetic import BUILDERS, Builder
from exhausters.workloads.trace_fields import exact_fraction
from exhausters.workloads.transferred import PARAMETERS as TRANSFER_PARAMETERS
from exhausters.workloads.transferred import with_transfers
from exhausters.workloads.workload import Workload

#: The trace readers by name; all take `path` first.
READERS: Mapping[str, Builder] = MappingProxyType(
    {"azure": read_azure, "mooncake": read_mooncake, "sglang_log": read_sglang_log}
)

# What every builder and reader takes beside its own, in the order in which it is applied: the parameter, and
# what makes a workload with it of one without.
_COMMON: Mapping[str, tuple[inspect.Parameter, Callable[..., Workload]]] = MappingProxyType(
    {
        priorities.ARGUMENT: (priorities.PARAMETER, priorities.with_priorities),
        penalized.ARGUMENT: (penalized.PARAMETER, penalized.with_penalty),
        scored.ARGUMENT: (scored.PARAMETER, scored.with_logprobs),
        adapters.ARGUMENT: (adapters.PARAMETER, adapters.with_adapters),
        grammars.ARGUMENT: (grammars.PARAMETER, grammars.with_grammars),
        sessions.ARGUMENT: (sessions.PARAMETER, sessions.with_sessions),
        renamed.ARGUMENT: (renamed.PARAMETER, renamed.with_other_names),
    }
)
_PATH = "path"
_ESCAPED = re.compile(r"[%,=]")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadSpec:
    """The name of a builder or reader, and arguments that differ from its defaults.

    Raises:
        WorkloadError: a name or argument that does not exist (lists what does), or a value of the
            wrong type.
    """

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parameters = _parameters(self.name)
        known = {key: _typed(self.name, parameters, key, value) for key, value in self.arguments.items()}
        for key, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty and key not in known:
                raise WorkloadError(f"{self.name}: {key}: is missing; write {self.name}:{key}=...")
        kept = {key: known[key] for key in sorted(known) if known[key] != parameters[key].default}
        object.__setattr__(self, "arguments", kept)

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def text(self) -> str:
        """The canonical text; `parse_spec` of it gives an equal spec."""
        items = ",".join(f"{key}={_text(value)}" for key, value in self.arguments.items())
        return f"{self.name}:{items}" if items else self.name

    def build(self) -> Workload:
        """Build or read the workload; its `source["spec"]` is this spec, a path cut to its file name.

        Raises:
            WorkloadError: from the builder or reader.
        """
        common = {*_COMMON, *TRANSFER_PARAMETERS}
        own = {key: value for key, value in self.arguments.items() if key not in common}
        workload = _builder(self.name)(**own)
        for name, (_, applied) in _COMMON.items():
            if name in self.arguments:
                workload = applied(workload, self.arguments[name])
        transfers = {key: value for key, value in self.arguments.items() if key in TRANSFER_PARAMETERS}
        if transfers:
            workload = with_transfers(workload, **typing.cast(Mapping[str, int], transfers))
        shown = dict(self.arguments)
        if _PATH in shown:
            shown[_PATH] = Path(str(shown[_PATH])).name
        text = WorkloadSpec(name=self.name, arguments=shown).text
        return replace(workload, source={**workload.source, "spec": text})


def build(name: str, **arguments: object) -> Workload:
    """Build a synthetic workload, or read a trace, by name.

    Raises:
        WorkloadError: an unknown name or argument (lists what exists), or a bad value.
    """
    return WorkloadSpec(name=name, arguments=arguments).build()


def parse_workload(text: str) -> Workload:
    """Build the workload a spec describes: `parse_spec(text).build()`."""
    return parse_spec(text).build()


def parse_spec(text: str) -> WorkloadSpec:
    """Parse a spec; the syntax is at the top of this file.

    Raises:
        WorkloadError: bad syntax, or what `WorkloadSpec` raises.
    """
    name, colon, rest = text.strip().partition(":")
    parameters = _parameters(name)
    arguments: dict[str, object] = {}
    for index, item in enumerate(rest.split(",") if colon else []):
        key, equals, value = item.partition("=")
        if not equals and index == 0 and _PATH in parameters:
            key, equals, value = _PATH, "=", item
        key = key.strip()
        if not equals or not value.strip():
            raise WorkloadError(f"{text!r}: {item!r}: must be key=value; for example agents:seed=3,turns=4")
        if key in arguments:
            raise WorkloadError(f"{text!r}: {key}: is given twice; drop one")
        arguments[key] = _parsed(name, parameters, key, value.strip())
    return WorkloadSpec(name=name, arguments=arguments)


def _builder(name: str) -> Builder:
    found = BUILDERS.get(name) or READERS.get(name)
    if found is None:
        raise WorkloadError(
            f"workload={name!r}: is unknown; the builders are {', '.join(sorted(BUILDERS))}, "
            f"the trace readers {', '.join(sorted(READERS))}"
        )
    return found


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    own = inspect.signature(_builder(name), eval_str=True).parameters
    common = {name: parameter for name, (parameter, _) in _COMMON.items()}
    return {**own, **common, **TRANSFER_PARAMETERS}


def _kind(name: str, parameters: Mapping[str, inspect.Parameter], key: str) -> type:
    """One of str, Fraction, bool, float, int: what the argument holds when it is not None."""
    if key not in parameters:
        raise WorkloadError(f"{name}: {key}: is unknown; the arguments are {', '.join(sorted(parameters))}")
    annotation = parameters[key].annotation
    held = set(typing.get_args(annotation)) or {annotation}
    for kind in (Fraction, bool, float, int):
        if kind in held:
            return kind
    return str


def _parsed(name: str, parameters: Mapping[str, inspect.Parameter], key: str, text: str) -> object:
    """A value from its text."""
    kind = _kind(name, parameters, key)
    if kind is str:
        return unquote(text)
    if text == "none":
        return None
    if kind is Fraction:
        return text  # the reader's own rules for fractions apply
    convert: Callable[[str], object] = {"true": True, "false": False}.__getitem__ if kind is bool else kind
    try:
        return convert(text)
    except (ValueError, KeyError):
        wanted = "true or false" if kind is bool else f"of type {kind.__name__}"
        raise WorkloadError(f"{name}: {key}={text!r}: must be {wanted}") from None


def _typed(name: str, parameters: Mapping[str, inspect.Parameter], key: str, value: object) -> object:
    """A value in its one canonical type, so that equal workloads have equal specs."""
    kind = _kind(name, parameters, key)
    if kind is str:
        if not isinstance(value, (str, Path)) or not str(value):
            raise WorkloadError(f"{name}: {key}={value!r}: must be a non-empty string or path")
        return str(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Fraction:
        return exact_fraction(key, value)
    return value


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", value)
    return repr(value) if isinstance(value, float) else str(value)
