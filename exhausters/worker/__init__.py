"""The process that runs one booted scheduler: starts it, talks to it, supervises it, ends it."""
