"""A function that nobody called is kept from its run by the condition above its call."""

from __future__ import annotations

from pathlib import Path

from exhausters.reach.call_sites import guarded_calls
from exhausters.reach.changed_lines import changed_files
from exhausters.reach.reached import UnreachedLines

_CACHE = "class ChunkCache:\n    def finish(self):\n        return 1\n\n\ndef never():\n    return 2\n"
_MAKER = (
    "def make(settings):\n    if settings.disable_radix_cache:\n"
    "        return ChunkCache()\n    return None\n"
)


def _tree(folder: Path) -> Path:
    for name, text in (("cache.py", _CACHE), ("maker.py", _MAKER)):
        (folder / name).write_text(text)
    return folder


def _unreached(line: int, guard: str = "") -> UnreachedLines:
    return UnreachedLines(
        file="cache.py", side="head", first_line=line, last_line=line, guard=guard, is_imported=False
    )


def test_the_condition_above_the_call_of_a_class_guards_its_methods(tmp_path: Path) -> None:
    """The method itself has no condition above it, and its file may not even be imported."""
    executed = {"maker.py": frozenset({2, 4})}
    (found,) = guarded_calls([_unreached(3)], folder=_tree(tmp_path), executed=executed)
    assert (found.guard, found.first_line) == ("settings.disable_radix_cache", 3)


def test_a_call_that_was_executed_guards_nothing(tmp_path: Path) -> None:
    """Then the condition was met, and something else keeps the function from its run."""
    executed = {"maker.py": frozenset({2, 3})}
    assert guarded_calls([_unreached(3)], folder=_tree(tmp_path), executed=executed) == ()


def test_what_nobody_calls_or_has_a_guard_is_left_alone(tmp_path: Path) -> None:
    """There is nothing to add."""
    executed = {"maker.py": frozenset({2, 4})}
    lines = [_unreached(7), _unreached(3, guard="self.x")]
    assert guarded_calls(lines, folder=_tree(tmp_path), executed=executed) == ()


def test_a_caller_that_nobody_called_leads_to_its_own_callers(tmp_path: Path) -> None:
    """Where no condition stands above a call, the one above the call of that caller is told."""
    (tmp_path / "new.py").write_text("class Cache:\n    def evict(self):\n        pass\n")
    (tmp_path / "old.py").write_text(
        "def make():\n    return Cache()\n\n"
        "def boot():\n    if envs.USE_NEW.get():\n        return make()\n    return 1\n"
    )
    lines = UnreachedLines(file="new.py", side="head", first_line=3, last_line=3, guard="")
    executed = {"new.py": frozenset[int](), "old.py": frozenset({1, 4, 5, 7})}
    (found,) = guarded_calls([lines], folder=tmp_path, executed=executed)
    assert found.guard == "envs.USE_NEW.get()"


def test_the_condition_above_an_import_guards_what_the_file_has(tmp_path: Path) -> None:
    """Nobody calls what a file has that is not imported: a switch may import it, or its package."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "window.py").write_text("class Window:\n    def insert(self):\n        return 1\n")
    (tmp_path / "registry.py").write_text(
        "def unified():\n    from parts import Window\n    return Window\n\n"
        "def boot():\n    if envs.USE_UNIFIED.get():\n        return unified()\n    return 1\n"
    )
    lines = UnreachedLines(
        file="parts/window.py", side="head", first_line=3, last_line=3, guard="", is_imported=False
    )
    executed = {"registry.py": frozenset({1, 5, 6, 8})}
    (found,) = guarded_calls([lines], folder=tmp_path, executed=executed)
    assert (found.guard, found.is_imported) == ("envs.USE_UNIFIED.get()", True)
    met = {"registry.py": frozenset({1, 2, 3, 5, 6, 7})}
    assert guarded_calls([lines], folder=tmp_path, executed=met) == ()


def test_a_mark_of_the_byte_order_hides_nothing(tmp_path: Path) -> None:
    """A file may begin with one: its changed lines count, and the conditions in it are found."""
    folder = _tree(tmp_path)
    (folder / "maker.py").write_text(_MAKER, encoding="utf-8-sig")
    (found,) = guarded_calls([_unreached(3)], folder=folder, executed={"maker.py": frozenset({2, 4})})
    assert found.guard == "settings.disable_radix_cache"
    for name, value in (("base", 1), ("head", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(f"def a():\n    return {value}\n", encoding="utf-8-sig")
    (change,) = changed_files(tmp_path / "base", tmp_path / "head", below="")
    assert (change.base_lines, change.head_lines) == (frozenset({2}), frozenset({2}))


def test_a_name_that_everybody_calls_leads_nowhere(tmp_path: Path) -> None:
    """Where more files call a name than could tell of one function, no condition is taken from them."""
    (tmp_path / "new.py").write_text("def get():\n    return 1\n")
    for number in range(31):
        (tmp_path / f"old_{number}.py").write_text("def use():\n    if envs.X.get():\n        return get()\n")
    lines = UnreachedLines(file="new.py", side="head", first_line=2, last_line=2, guard="")
    few = {"new.py": frozenset[int](), "old_0.py": frozenset({2})}
    assert [one.guard for one in guarded_calls([lines], folder=tmp_path, executed=few)] == ["envs.X.get()"]
    many = {"new.py": frozenset[int](), **{f"old_{number}.py": frozenset({2}) for number in range(31)}}
    assert guarded_calls([lines], folder=tmp_path, executed=many) == ()
