"""Everything that can go wrong between a result file and a verdict, as one tree.

ExhaustersError
├── ResultFileError             a file or folder that cannot be read as results; names the place
│   ├── TruncatedFileError      it ends in the middle of a value
│   ├── ForeignFileError        it was written by something this project does not read
│   └── SchemaVersionError      it, or one of its lines, has another version of the format
├── DuplicateRunError           the same cell twice where it can be there only once
├── NotComparableError          two builds whose results must not be compared; carries the refusals
└── UsageError(ValueError)
    ├── SelectionError          a selector that names no build, or several
    └── ConfigError             a configuration file that makes no sense
"""

from __future__ import annotations

from exhausters.errors import ExhaustersError, UsageError


class ResultFileError(ExhaustersError):
    """A file or folder that cannot be read as results. The message names the place."""


class TruncatedFileError(ResultFileError):
    """A file that ends in the middle of a value, or is not the text it should be."""


class ForeignFileError(ResultFileError):
    """A file or folder that was written by something this project does not read."""


class SchemaVersionError(ResultFileError):
    """A file, or one line of it, in another version of its format."""


class DuplicateRunError(ExhaustersError):
    """One cell has two runs where only one can be: same folder, target and round."""


class NotComparableError(ExhaustersError):
    """Results of two builds that must not be compared; the message gives each reason."""


class SelectionError(UsageError):
    """A selector that names no build, or several."""


class ConfigError(UsageError):
    """A configuration file that makes no sense. The message names the key and what was expected."""
