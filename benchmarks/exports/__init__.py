"""What exported commits take on disk."""
