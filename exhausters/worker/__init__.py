"""The process that runs one booted scheduler: starts it, exchanges messages with it, supervises it, ends it."""
