"""What works on which release: the grid `features`, run on each, as the tables of docs/support.md."""
