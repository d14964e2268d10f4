"""A history of SGLang on disk, for commit ranges: made from published releases, or copied from a clone.

For releases, read the files in this order: `ranges` (what the user wrote), `session` and `index` (what is
published, and when), `wheel` (one release's files, laid out as upstream's), `repository` (commits, tags,
repair), `releases` (all of it in one call). `clone` takes the commits of a real repository instead.
"""

from exhausters.mirror.clone import mirror_clone
from exhausters.mirror.index import configured_index
from exhausters.mirror.ranges import VersionRange, parse_range
from exhausters.mirror.releases import mirror_releases

__all__ = ["VersionRange", "configured_index", "mirror_clone", "mirror_releases", "parse_range"]
