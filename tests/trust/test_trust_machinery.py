"""What runs for long can be resumed; the tables say what the results say."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import beta

from benchmarks.trust import trees
from benchmarks.trust.against_itself import alarms, loads
from benchmarks.trust.calibrate import Calibration, calibrate
from benchmarks.trust.compare_plants import DONE_NAME, compare_plants, is_done, reach_in
from benchmarks.trust.cpu_load import cores_busy
from benchmarks.trust.journal import Journal
from benchmarks.trust.plants import trust_grid
from benchmarks.trust.tables import (
    PlantResult,
    against_itself_table,
    plants_table,
    power_table,
)
from exhausters.errors import FolderBusyError, UsageError
from tests.sweep.samples import a_target
from tests.trust.samples import a_plant, an_answer


def test_a_journal_goes_on_after_a_line_that_was_cut_off(tmp_path: Path) -> None:
    """What was complete is kept, what was not is done again."""
    path = tmp_path / "results.jsonl"
    journal = Journal(path)
    journal.add("0", {"value": 1})
    journal.add("1", {"value": 2})
    path.write_text(path.read_text()[:-4])
    again = Journal(path)
    assert "0" in again
    assert "1" not in again
    again.add("1", {"value": 3})
    assert Journal(path).values() == [{"value": 1}, {"value": 3}]


def test_a_calibration_is_measured_once(tmp_path: Path) -> None:
    """A command that goes on plants the same sizes as before; nothing is booted for it."""
    found = {"calls_per_step": 1, "cpu_us_per_step": 2, "unit_call_us": 3, "unit_pass_us": 4, "summed_us": 5}
    keep = tmp_path / "calibration.json"
    keep.write_text(json.dumps(found))
    assert calibrate(None, (), keep=keep) == Calibration(**found)


def test_plants_that_are_done_are_not_run_again(tmp_path: Path) -> None:
    """But a plant that was edited, or that another grid was for, is."""
    grid, plant, place = trust_grid(1), a_plant(), tmp_path / "slower"
    place.mkdir()
    done = {
        "code": plant.code,
        "grid": grid.digest,
        "pairs": False,
        "reach": "all",
        "is_nothing_reached": False,
    }
    (place / DONE_NAME).write_text(json.dumps(done))
    # Neither a release nor a copy: running anything would fail.
    compare_plants(
        [plant],
        release=None,
        trees=(),
        grid=grid,
        values={},
        folder=tmp_path,
        progress=None,
        say=print,
    )
    assert is_done(plant, place, grid)
    assert not is_done(a_plant(code="x = 2\n"), place, grid)
    assert not is_done(plant, place, trust_grid(2))
    assert not is_done(plant, tmp_path / "other", grid)
    assert str(reach_in(place)) == "all"


def test_a_planted_file_never_changes_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy shares its other files with the release, and nothing of it is left behind."""
    source = tmp_path / "release"
    (source / "sglang" / "srt").mkdir(parents=True)
    for name in ("a", "b"):
        (source / "sglang" / "srt" / f"{name}.py").write_text(f"{name} = 1\n")
    monkeypatch.setattr(trees, "cache_root", lambda: tmp_path / "cache")
    monkeypatch.setattr(trees, "prepare", lambda text: text)
    release = replace(a_target(), source_dirs=(source,))
    with trees.tree_of(release, "one") as tree:
        planted = tree.folder / "sglang" / "srt" / "a.py"
        with tree.planted("sglang/srt/a.py", "a = $SIZE\n", {"SIZE": 2}) as target:
            assert target == f"path:{tree.folder}"
            assert planted.read_text().endswith("a = 2\n")
            assert (source / "sglang" / "srt" / "a.py").read_text() == "a = 1\n"
            assert planted.with_name("b.py").samefile(source / "sglang" / "srt" / "b.py")
        assert planted.read_text() == "a = 1\n"
        with pytest.raises(FolderBusyError), trees.tree_of(release, "one"):
            pass
        with pytest.raises(UsageError, match="not in this release"), tree.planted("c.py", "", {}):
            pass
        with pytest.raises(UsageError, match="SIZE"), tree.planted("sglang/srt/a.py", "$SIZE", {}):
            pass
    assert not tree.folder.exists()
    assert (source / "sglang" / "srt" / "a.py").read_text() == "a = 1\n"


def test_one_comparison_in_five_runs_under_load() -> None:
    """In an order that the seed decides."""
    order = loads(50, 1)
    assert sum(order) == 10
    assert order == loads(50, 1)
    assert any(order != loads(50, seed) for seed in range(2, 9))


def test_load_ends_with_its_block() -> None:
    """Also when the block fails; without load there is none."""
    with cores_busy() as burners:
        assert burners
        assert all(one.poll() is None for one in burners)
    assert all(one.poll() is not None for one in burners)
    with suppress(ZeroDivisionError), cores_busy() as burners:
        raise ZeroDivisionError
    assert all(one.poll() is not None for one in burners)
    with cores_busy(is_wanted=False) as burners:
        assert not burners


def _itself(**changes: Any) -> dict[str, Any]:
    return {
        "load": False,
        "exact_alarms": 0,
        "host_alarm": False,
        "cell_tests": 18,
        "cell_alarms": 0,
        "asv": "same",
        "pytest_benchmark": "same",
    } | changes


def test_alarms_have_the_interval_of_their_share() -> None:
    """Clopper and Pearson's, which is that of the beta distribution."""
    results = [_itself() for _ in range(48)] + [_itself(host_alarm=True, load=True), _itself(asv="better")]
    found = alarms(results, "host_alarm")
    assert (found.alarms, found.comparisons) == (1, 50)
    assert found.interval == pytest.approx((beta.ppf(0.025, 1, 50), beta.ppf(0.975, 2, 49)))
    assert alarms(results, "host_alarm", load=False).alarms == 0
    assert alarms(results, "asv").alarms == 1
    table = against_itself_table(results)
    assert "| all | 50 | 0 | 1 | 2.0% (0.1% to 10.6%) |" in table
    assert "Of 900 tests" in table


def test_the_table_of_plants_counts_and_names_every_miss() -> None:
    """What was not answered as expected is in the summary, in its row, and explained."""
    right = PlantResult(
        plant=a_plant(),
        forward=an_answer("worse"),
        backward=an_answer("better"),
        asv=("worse", "better"),
        pytest_benchmark=("worse", "same"),
    )
    missed = PlantResult(
        plant=a_plant(name="hidden"), forward=an_answer("neutral"), backward=an_answer("neutral")
    )
    table = plants_table([right, missed])
    assert "2 plants, each in both directions: 1 right, 1 wrong." in table
    assert "| `slower` | more work | worse | worse | better | yes |" in table
    assert "| `hidden` | more work | worse | neutral | neutral | no |" in table
    assert "* `hidden`: neutral, not worse; swapped: neutral, not better" in table
    assert "here 1 of 1, asv 1 of 1, pytest-benchmark (no gains) 1 of 1" in table
    assert "No miss." in plants_table([right])


def test_the_power_curve_pools_the_sessions_of_a_size() -> None:
    """Blocks of all sessions count, and what was achieved is given as its range."""

    def session(achieved: float, *words: str) -> dict[str, Any]:
        lists = {
            f"{name}_{size}": list(words)
            for name in ("found", "asv", "pytest_benchmark")
            for size in (10, 20)
        }
        return {"percent": 5, "achieved": achieved, **lists}

    table = power_table([session(0.048, "worse", "better"), session(0.052, "worse", "same")])
    assert "| 5 % | +4.8% to +5.2% | 10 | 4 | 50% | 1 | 50% | 50% |" in table
