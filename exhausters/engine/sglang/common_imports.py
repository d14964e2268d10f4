"""What SGLang imports of the packages that are installed beside it: the same for all of its commits.

Importing a scheduler takes some 6 s, of which SGLang's own modules take less than 1 s. What is named here
takes most of the rest (`python -X importtime`, by the modules that SGLang's own import first). A name that
an environment has not is left out, and one that is missing here costs time and nothing else.
"""

from __future__ import annotations

import importlib
from contextlib import suppress

NAMES = (
    "torchvision.io",
    "transformers",
    "transformers.modeling_layers",
    "transformers.models.llama",
    "torch._dynamo.repro.after_dynamo",
    "torch._inductor.compile_fx",
    "torch.utils.cpp_extension",
    "triton",
    "compressed_tensors.config",
    "xgrammar",
    "aiohttp.web",
    "fastapi",
    "openai.types.responses",
    "requests",
    "IPython.display",
    "gguf",
)


def import_common() -> None:
    """Import the names that are there."""
    for name in NAMES:
        # Whatever a package raises that does not fit its neighbours: SGLang meets it again, if it imports it.
        with suppress(Exception):
            importlib.import_module(name)
