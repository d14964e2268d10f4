"""The process that holds one booted scheduler: start it, speak with it, supervise it, end it."""
