"""Switches that a grid sets freely: SGLang itself says whether it has them and takes their values."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from exhausters.errors import UnsupportedSettingError

# By these SGLang refuses a value; anything else is a failure of its own.
_REFUSALS = (ValueError, TypeError, AssertionError, NotImplementedError)
_REFUSAL_NAMES = tuple(kind.__name__ for kind in _REFUSALS)


def require_switches(
    server_args_class: Any,
    switches: Mapping[str, Any],
    *,
    known: Collection[str],
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the switches with the values that SGLang's command line would make of them.

    Args:
        server_args_class: SGLang's `ServerArgs`.
        switches: keywords and values as the grid has them.
        known: keywords that this `ServerArgs` takes.
        others: the further keywords that it will be given.

    Raises:
        UnsupportedSettingError: a keyword that it does not have, or a value that its command line, or
            `ServerArgs` itself, refuses.
    """
    if not switches:
        return {}
    for name, value in switches.items():
        if name not in known:
            raise UnsupportedSettingError(f"{shown_switch(name, value)}: this SGLang has no such switch")
    parser = _Parser(allow_abbrev=False, add_help=False)
    server_args_class.add_cli_args(parser)
    checked = {name: _parsed(parser, name, value) for name, value in switches.items()}
    error = refused(server_args_class, {**others, **checked})
    # SGLang refuses these switches only if it takes everything else.
    if error is not None and refused(server_args_class, others) is None:
        shown = ", ".join(shown_switch(name, value) for name, value in switches.items())
        raise UnsupportedSettingError(f"{shown}: this SGLang refuses it: {_said(error)}") from error
    return checked


def refused(server_args_class: Any, arguments: Mapping[str, Any]) -> Exception | None:
    """The error by which SGLang refuses these arguments, as its launcher would; None if it takes them.

    The arguments are those of an object of its own: newer releases settle an object only once.
    """
    environment = dict(os.environ)
    try:
        made = server_args_class(**arguments)
        for step in ("resolve_once", "check_server_args"):
            getattr(made, step, lambda: None)()
    except _REFUSALS as error:
        return error
    finally:
        # Settling writes to it.
        os.environ.clear()
        os.environ.update(environment)
    return None


def refusal_in(text: str, settings: Mapping[str, str]) -> UnsupportedSettingError | None:
    """Return what a boot's traceback says about a setting: an error by which SGLang refuses its value.

    Only an error that names the keyword, in its message or in the line that raised it, is a refusal: any
    other failure of a boot is a failure, whatever was asked for.

    Args:
        text: SGLang's own traceback.
        settings: keywords of `ServerArgs` that were asked for; each with what to call it, value included.
    """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.startswith('  File "')]
    if not starts:
        return None
    # The last frame: where it is, its source (and carets), and the message, which may have several lines.
    last = lines[starts[-1] + 1 :]
    said = next((line for line in last if line.startswith(_REFUSAL_NAMES)), None)
    if said is None:
        return None
    for name, shown in settings.items():
        if re.search(rf"\b{re.escape(name)}\b|--{re.escape(name.replace('_', '-'))}\b", "\n".join(last)):
            return UnsupportedSettingError(f"{shown}: this SGLang refuses it: {said}")
    return None


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parsed(parser: argparse.ArgumentParser, name: str, value: Any) -> Any:
    """One value, as the command line has it. A keyword without an option is passed on as it is."""
    option = f"--{name.replace('_', '-')}"
    if option not in parser._option_string_actions:
        return value
    if isinstance(value, bool):
        words = [option]
    elif isinstance(value, tuple | list):
        words = [option, *map(str, value)]
    else:
        words = [f"{option}={value}"]
    # SGLang's command line wants a model, whatever else it is asked.
    model = [] if name == "model_path" else ["--model-path=null"]
    try:
        found, rest = parser.parse_known_args([*model, *words])
    except (*_REFUSALS, argparse.ArgumentError) as error:
        raise UnsupportedSettingError(
            f"{shown_switch(name, value)}: this SGLang refuses it: {_said(error)}"
        ) from error
    if rest:
        raise UnsupportedSettingError(
            f"{shown_switch(name, value)}: this SGLang refuses it: {option} takes no other"
        )
    # False is the absence of an option: that the option is there was all there is to check.
    return value if isinstance(value, bool) else getattr(found, name, value)


def shown_switch(name: str, value: Any) -> str:
    """One switch as the grid has it, for messages."""
    return f"server_args.{name}={str(value).lower() if isinstance(value, bool) else value}"


def _said(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
