"""Run the real SGLang scheduler on a CPU, take its resources away, and record what it decides."""

__version__ = "0.1.0"
