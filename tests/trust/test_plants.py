"""Plants are data that makes sense, in enough kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.trust.calibrate import Calibration
from benchmarks.trust.plants import choose, load_plants, trust_grid
from exhausters.errors import UsageError
from tests.trust.samples import a_plant

_CALIBRATION = Calibration(
    calls_per_step=1_000, cpu_us_per_step=1_000, unit_call_us=0.1, unit_pass_us=0.01, summed_us=0.01
)


def test_there_are_enough_plants_of_each_kind() -> None:
    """At least 24, of losses and gains, outcomes and costs, and changes that are none."""
    plants = load_plants()
    assert len(plants) >= 24
    assert {one.role for one in plants} == {"outcome", "cost", ""}
    assert {"worse", "better", "neutral", "identical", "unreached"} <= {
        word for one in plants for word in one.expect
    }


def test_every_plant_compiles_with_the_calibrated_numbers() -> None:
    """No placeholder without a value, and no syntax error."""
    from string import Template

    for plant in load_plants():
        compile(Template(plant.code).substitute(_CALIBRATION.values()), plant.name, "exec")


def test_calibrated_numbers_are_the_shares_they_are_named_after() -> None:
    """Ten percent of the calls, each as long as a call of a step; twenty percent of the time in one sum."""
    values = _CALIBRATION.values()
    assert values["CALLS_10"] == 100
    assert values["UNIT"] == 90
    assert values["LOOP_20"] == 20_000


@pytest.mark.parametrize(
    "changes",
    [{"expect": ("wrose",)}, {"expect": ()}, {"role": "price"}, {"phase": "sleep"}, {"under": ("hard",)}],
)
def test_a_plant_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    """A word that there is not would be a plant that no answer fits, or any."""
    with pytest.raises(UsageError):
        a_plant(**changes)


def test_a_field_that_there_is_not_and_a_name_twice_are_refused(tmp_path: Path) -> None:
    """A misspelt field would be an expectation that is not checked."""
    text = '[[plants]]\nname="a"\ndoes="b"\nfile="c"\ncode="d"\nexpect=["worse"]\nreverse=["better"]\n'
    file = tmp_path / "plants.toml"
    file.write_text(f'{text}fase = "run"\n')
    with pytest.raises(UsageError, match="fase"):
        load_plants(file)
    file.write_text(text * 2)
    with pytest.raises(UsageError, match="one name"):
        load_plants(file)


def test_plants_are_chosen_by_name() -> None:
    """One that there is not is refused, and the others are named."""
    plants = load_plants()
    assert [one.name for one in choose(plants, ["comment"])] == ["comment"]
    assert choose(plants, []) == plants
    with pytest.raises(UsageError, match="evict_twice"):
        choose(plants, ["nothing"])


def test_the_seed_is_that_of_the_workloads() -> None:
    """Another seed gives other cells, the same seed the same."""
    assert trust_grid(1).digest == trust_grid(1).digest != trust_grid(2).digest
    assert all("seed=7" in cell.workload for cell in trust_grid(7).cells)
