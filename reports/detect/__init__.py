"""Judge what changed: between two builds, and over a range of builds."""
