"""Add releases to the recorded decision digests: `python -m tests.releases.record_digests 0.5.24`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.releases.test_decision_digests import DATA, swept


def main(releases: list[str]) -> None:
    """Sweep the quick grid on each release and write what it decided."""
    document = json.loads(DATA.read_text())
    for release in releases:
        with tempfile.TemporaryDirectory() as folder:
            document["digests"][release] = swept(release, "quick", Path(folder) / "out")
    DATA.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
