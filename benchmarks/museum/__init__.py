"""Historic bugs of SGLang, put back or as real commits, and what the harness says of each (docs/museum.md)."""
