"""Compute the metrics of stored records again, with the registry of today, and put in what is new."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exhausters.errors import StoreError, WorkloadError
from exhausters.results_folder import lock_folder, replace_text
from exhausters.sweep.facts import resummarize
from exhausters.sweep.read_records import read_lines, read_records
from exhausters.sweep.record_files import RECORDS_NAME, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Refilled:
    """What was done to a folder of records.

    Attributes:
        records: how many records the folder holds.
        added: values put in, by metric.
        changed: values that differ from the stored ones and were replaced, by metric.
        left: records that could not be computed again, by reason.
    """

    records: int
    added: Mapping[str, int]
    changed: Mapping[str, int]
    left: Mapping[str, int]


def refill(folder: Path) -> Refilled:
    """Compute the decision and modelled-time metrics of every record again and write them into the folder.

    Counts of work and host time stay as they were measured. A record without facts, or one whose workload
    cannot be rebuilt, stays as it is and is counted in `left`.

    Raises:
        StoreError: the folder holds no readable records, or cannot be written.
        FolderBusyError: another command writes into it.
    """
    read_lines(folder)  # no lock is left where nothing of ours is
    with written(folder):
        lock = lock_folder(folder, holds="command")
    with lock:
        return _refill(folder)


def _refill(folder: Path) -> Refilled:
    stored = read_records(folder).records
    lines = [json.loads(line) for line in read_lines(folder)[1]]
    added: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for record, line in zip(stored, lines, strict=True):
        try:
            metrics = resummarize(record)
        except (StoreError, WorkloadError) as error:
            left[str(error).rpartition(": ")[2]] += 1
            continue
        for name, value in metrics.items():
            if name not in line["metrics"]:
                added[name] += 1
            elif line["metrics"][name] != value:
                changed[name] += 1
        line["metrics"] |= metrics
    with written(folder):
        replace_text(folder / RECORDS_NAME, "".join(json.dumps(line) + "\n" for line in lines))
    return Refilled(records=len(lines), added=added, changed=changed, left=left)
