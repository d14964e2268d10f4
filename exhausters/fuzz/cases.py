"""What a campaign plays: a script on an engine, where it comes from, and what it has shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exhausters.errors import FuzzScriptError, GridError
from exhausters.fuzz.operations import FuzzScript
from exhausters.fuzz.play import Played
from exhausters.oracles import Finding
from exhausters.sweep.cell import EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One script on one engine.

    Attributes:
        engine: what it is played on.
        script: what is played.
        origin: where it comes from: a seed with its place in the campaign, or a file.
        features: of the engine and of the script; empty where they are not known.
    """

    engine: EngineSettings
    script: FuzzScript
    origin: str = ""
    features: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return it in plain values; what a corpus holds."""
        return {
            "origin": self.origin,
            "engine": self.engine.to_json(),
            "operations": self.script.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, origin: str) -> Case:
        """Return the case that `to_json` wrote.

        Raises:
            FuzzScriptError: it has no engine or no operations, or they make no sense.
        """
        try:
            engine, operations = values["engine"], values["operations"]
            return cls(
                engine=EngineSettings.from_json(engine),
                script=FuzzScript.from_json(operations),
                origin=origin,
            )
        except (KeyError, TypeError, AttributeError, GridError) as error:
            raise FuzzScriptError(
                f"{origin}: expected an object with `engine` and `operations`: {error!r}"
            ) from error
        except FuzzScriptError as error:
            raise FuzzScriptError(f"{origin}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one case has shown.

    Attributes:
        case: the case.
        findings: broken promises.
        played: the rest; None when the worker ended meanwhile.
    """

    case: Case
    findings: tuple[Finding, ...]
    played: Played | None
