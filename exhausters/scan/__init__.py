"""Every commit of a history on one small grid: which of them changed decisions or counted work."""
