"""Two builds side by side: decisions, work, executed lines and host time, in this order."""
