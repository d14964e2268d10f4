"""From results to verdicts, reports and dashboards."""
