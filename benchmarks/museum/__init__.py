"""Historic bugs of SGLang, put back or as real commits, and what sees each of them (docs/museum.md)."""
