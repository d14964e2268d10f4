"""Show a comparison on a terminal, in Markdown, JUnit XML and JSON; show a history as a table."""
