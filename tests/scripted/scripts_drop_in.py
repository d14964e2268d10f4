"""Scripts in the style of SGLang's own chunked-prefill tests, and a look at the API they were written for."""

from __future__ import annotations

from typing import Any

from exhausters.scripted.helpers import (
    DEFAULT_CHUNK_SIZE,
    advance_to_lifecycle_stage,
    advance_to_nth_chunk,
    exhaust_row_pool,
    run_until,
    run_until_all_finished,
    run_until_finished,
    warmup_radix,
)


def chunks_are_counted(t: Any, num_chunks: int) -> Any:
    r = t.start_req(prompt_len=num_chunks * DEFAULT_CHUNK_SIZE, max_new_tokens=2)
    yield from advance_to_nth_chunk(r, 1)
    assert r.is_chunking
    assert t.batch_composition()["chunked"] == [r.rid]
    assert 0 < r.remaining_prompt_tokens < num_chunks * DEFAULT_CHUNK_SIZE
    yield from run_until_finished(r)
    assert r.chunks_done == num_chunks, r.chunks_done
    assert t.chunked_parks(r.rid) == 0


def abort_at_stage(t: Any, stage: str) -> Any:
    r = t.start_req(prompt_len=3 * DEFAULT_CHUNK_SIZE, max_new_tokens=8, ignore_eos=True)
    yield from advance_to_lifecycle_stage(r, stage, num_middle_chunks=2, max_new_tokens=8)
    assert r.kv_pages > 0
    t.abort(r, await_arrival=True)
    yield from run_until(r, lambda handle: handle.finished)
    while not t.is_fully_idle:
        yield
    assert r.kv_pages == 0
    assert r.lock_refs == 0
    stats = t.engine_stats()
    assert stats["req_pool_free"] == stats["req_pool_total"], stats
    assert not any(t.get_all_node_lock_refs().values())


def cached_prefix_skips_chunks(t: Any) -> Any:
    yield from warmup_radix(t, [5] * (2 * DEFAULT_CHUNK_SIZE))
    assert t.get_all_node_hit_counts()
    r = t.start_req(prompt_len=2 * DEFAULT_CHUNK_SIZE + 8, prompt_token=5, max_new_tokens=2)
    yield from run_until_finished(r)
    assert r.chunks_done == 0, r.chunks_done


def pressure_from_all_sides(t: Any) -> Any:
    yield from warmup_radix(t, [6] * 64)
    t.exhaust_lock_refs(leave_refs=0)
    t.exhaust_kv(leave_pages=2 * DEFAULT_CHUNK_SIZE)
    assert t.engine_stats()["kv_pool_free"] == 2 * DEFAULT_CHUNK_SIZE
    handles = [t.start_req(prompt_len=100, prompt_token=10 + i, max_new_tokens=4) for i in range(6)]
    assert {h.status for h in handles} == {"unknown"}
    yield
    yield from run_until_all_finished(handles)


def rows_are_filled(t: Any) -> Any:
    yield from exhaust_row_pool(t, leave_rows=2)
    assert t.engine_stats()["req_pool_free"] <= 2


def compare_with_sglang(t: Any) -> Any:
    """What differs between our helpers and context and SGLang's own; nothing, if all is well."""
    import importlib
    import inspect

    from exhausters.scripted import helpers
    from exhausters.scripted.context import ScriptedContext
    from exhausters.scripted.req_handle import ScriptedReqHandle

    theirs = importlib.import_module("sglang.test.scripted_runtime_chunked_helpers")
    differences = []
    names = [
        name
        for name, value in vars(theirs).items()
        if not name.startswith("_")
        and (name.isupper() or getattr(value, "__module__", None) == theirs.__name__)
    ]
    for name in names:
        wanted, found = getattr(theirs, name), getattr(helpers, name, None)
        if callable(wanted):
            if found is None or _shape(inspect.signature(wanted)) != _shape(inspect.signature(found)):
                differences.append(name)
        elif wanted != found:
            differences.append(name)

    pairs = (
        (_class("sglang.test.scripted_runtime.context", "ScriptedContext"), ScriptedContext),
        (_class("sglang.test.scripted_runtime.req_handle", "ScriptedReqHandle"), ScriptedReqHandle),
    )
    compared = len(names)
    for wanted_class, found_class in pairs:
        for name, wanted in vars(wanted_class).items():
            if name.startswith("_"):
                continue
            compared += 1
            found = inspect.getattr_static(found_class, name, None)
            if callable(wanted):
                if not callable(found) or not _takes(found, wanted):
                    differences.append(f"{wanted_class.__name__}.{name}")
            elif type(found) is not type(wanted):
                differences.append(f"{wanted_class.__name__}.{name}")
    return compared, differences


def _class(module: str, name: str) -> Any:
    import importlib

    return getattr(importlib.import_module(module), name)


def _shape(signature: Any) -> list[tuple[str, Any, Any]]:
    return [(one.name, one.kind, one.default) for one in signature.parameters.values()]


def _takes(found: Any, wanted: Any) -> bool:
    """Whether every call that fits `wanted` fits `found`: same parameters, and optional ones."""
    import inspect

    ours = {name: (kind, default) for name, kind, default in _shape(inspect.signature(found))}
    theirs = {name: (kind, default) for name, kind, default in _shape(inspect.signature(wanted))}
    more = [ours[name][1] for name in set(ours) - set(theirs)]
    is_optional = all(default is not inspect.Parameter.empty for default in more)
    return is_optional and all(ours.get(name) == parameter for name, parameter in theirs.items())
