"""Forward-time models by name, as the command line and records name them."""

from __future__ import annotations

from exhausters.errors import UsageError
from exhausters.observe.forward_time import ConstantForwardTime, ForwardTimeModel, LinearForwardTime
from exhausters.observe.roofline import RooflineForwardTime, load_device, load_model


def forward_time_model(text: str) -> ForwardTimeModel:
    """Return the model that `constant`, `linear` or `roofline[:MODEL@DEVICE]` names.

    Raises:
        UsageError: an unknown name; lists what there is.
    """
    name, _, rest = text.partition(":")
    if name == "constant" and not rest:
        return ConstantForwardTime()
    if name == "linear" and not rest:
        return LinearForwardTime()
    if name == "roofline":
        model = RooflineForwardTime()
        if rest:
            model_name, _, device_name = rest.partition("@")
            model = RooflineForwardTime(model_name=model_name, device_name=device_name or model.device_name)
        load_model(model.model_name)
        load_device(model.device_name)
        return model
    raise UsageError(f"forward time {text!r}: expected constant, linear or roofline[:MODEL@DEVICE]")
