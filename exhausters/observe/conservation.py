"""Checks after every step that the parts of each pool add up to its total."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exhausters.engine.api import Engine, PoolSnapshot
from exhausters.errors import ConservationError
from exhausters.observe.step_record import StepRecord
from exhausters.pressure import PressureSet


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCount:
    """Where every unit of one pool is.

    Attributes:
        pool: `KV tokens`, `window tokens`, `host tokens`, `mamba slots`, `adapter slots`, `request rows` or
            `prealloc slots`.
        total, free, held, cached, in_use: units; `cached` is evictable and protected together, 0 for rows and
            for slots of transfers; of adapters' slots those with an adapter; `in_use` is by requests and by
            sessions.
    """

    pool: str
    total: int
    free: int
    held: int
    cached: int
    in_use: int

    @property
    def missing(self) -> int:
        """Units that nobody has (positive: a leak) or that two have (negative: a double free)."""
        return self.total - (self.free + self.held + self.cached + self.in_use)


class ConservationCheck:
    """Counts the pools of one engine, some of which pressure holds back, to their totals."""

    def __init__(self, engine: Engine, pressure: PressureSet) -> None:
        self._pressure = pressure
        self._total_tokens = engine.kv_pool.total_tokens
        self._total_rows = engine.row_pool.total_rows
        # None: there is no window pool, or none that can be counted.
        self._total_window_tokens = engine.kv_pool.window_total_tokens
        self._total_host_tokens = 0 if engine.host_pool is None else engine.host_pool.total_tokens
        self._total_mamba_slots = 0 if engine.mamba_pool is None else engine.mamba_pool.total_slots
        self._total_adapter_slots = 0 if engine.adapter_slots is None else engine.adapter_slots.total_slots
        self._total_prealloc_slots = 0 if engine.transfers is None else engine.transfers.slots.total_slots

    def broken(self, record: StepRecord, pools: PoolSnapshot) -> tuple[PoolCount, ...]:
        """Return the pools that do not add up after one step; empty when all do."""
        held = record.held_tokens
        cached = pools.evictable_tokens + pools.protected_tokens
        # Nearly every step adds up, and then nothing needs to be named.
        if (
            pools.free_tokens + held + cached + _used_tokens(pools) == self._total_tokens
            and pools.free_rows + record.held_rows + _used_rows(pools) == self._total_rows
            and self._total_window_tokens in (None, _window_tokens(pools) + held + record.window_held_tokens)
            and pools.host_free_tokens + record.host_held_tokens + pools.host_cached_tokens
            == self._total_host_tokens
            and _mamba_slots(pools) + record.mamba_held_slots == self._total_mamba_slots
            and pools.empty_adapter_slots + record.held_lora_slots + pools.resident_adapters
            == self._total_adapter_slots
            and pools.free_prealloc_slots + record.held_prealloc_slots + pools.prealloc_slots_in_use
            == self._total_prealloc_slots
        ):
            return ()
        return tuple(count for count in self._counts(record, pools) if count.missing)

    def check(self, record: StepRecord, pools: PoolSnapshot) -> None:
        """Count one step.

        Raises:
            ConservationError: names the step, the pool and all numbers.
        """
        for count in self.broken(record, pools):
            held_back = self._pressure.holdings()
            raise ConservationError(f"{describe(count, step=record.step)}; held by pressure: {held_back}")

    def _counts(self, record: StepRecord, pools: PoolSnapshot) -> Iterator[PoolCount]:
        yield from self._token_counts(record, pools)
        yield from self._slot_counts(record, pools)

    def _token_counts(self, record: StepRecord, pools: PoolSnapshot) -> Iterator[PoolCount]:
        yield PoolCount(
            pool="KV tokens",
            total=self._total_tokens,
            free=pools.free_tokens,
            held=record.held_tokens,
            cached=pools.evictable_tokens + pools.protected_tokens,
            in_use=_used_tokens(pools),
        )
        if self._total_window_tokens is not None:
            yield PoolCount(
                pool="window tokens",
                total=self._total_window_tokens,
                free=pools.window_free_tokens,
                # What `leave_pages` takes is taken from both pools.
                held=record.held_tokens + record.window_held_tokens,
                cached=pools.window_evictable_tokens + pools.window_protected_tokens,
                in_use=pools.window_in_use_tokens,
            )
        if self._total_host_tokens:
            yield PoolCount(
                pool="host tokens",
                total=self._total_host_tokens,
                free=pools.host_free_tokens,
                held=record.host_held_tokens,
                cached=pools.host_cached_tokens,
                in_use=0,
            )

    def _slot_counts(self, record: StepRecord, pools: PoolSnapshot) -> Iterator[PoolCount]:
        if self._total_mamba_slots:
            yield PoolCount(
                pool="mamba slots",
                total=self._total_mamba_slots,
                free=pools.mamba_free_slots,
                held=record.mamba_held_slots,
                cached=pools.mamba_evictable_slots + pools.mamba_protected_slots,
                in_use=pools.mamba_in_use_slots,
            )
        if self._total_adapter_slots:
            yield PoolCount(
                pool="adapter slots",
                total=self._total_adapter_slots,
                free=pools.empty_adapter_slots,
                held=record.held_lora_slots,
                cached=pools.resident_adapters,
                in_use=0,
            )
        yield PoolCount(
            pool="request rows",
            total=self._total_rows,
            free=pools.free_rows,
            held=record.held_rows,
            cached=0,
            in_use=_used_rows(pools),
        )
        if self._total_prealloc_slots:
            yield PoolCount(
                pool="prealloc slots",
                total=self._total_prealloc_slots,
                free=pools.free_prealloc_slots,
                held=record.held_prealloc_slots,
                cached=0,
                in_use=pools.prealloc_slots_in_use,
            )


def describe(count: PoolCount, *, step: int) -> str:
    """Say what does not add up in a pool, with all numbers."""
    what = "leaked" if count.missing > 0 else "counted twice (a double free)"
    return (
        f"step {step}: {abs(count.missing)} {count.pool} {what}: free {count.free} + held {count.held} + "
        f"cached {count.cached} + in use {count.in_use} != total {count.total}"
    )


def _used_tokens(pools: PoolSnapshot) -> int:
    return pools.in_use_tokens + pools.session_tokens


def _used_rows(pools: PoolSnapshot) -> int:
    return pools.rows_in_use + pools.session_rows


def _window_tokens(pools: PoolSnapshot) -> int:
    cached = pools.window_evictable_tokens + pools.window_protected_tokens
    return pools.window_free_tokens + cached + pools.window_in_use_tokens


def _mamba_slots(pools: PoolSnapshot) -> int:
    cached = pools.mamba_evictable_slots + pools.mamba_protected_slots
    return pools.mamba_free_slots + cached + pools.mamba_in_use_slots
