"""What a layer computed at every step, by name, in memory or on disk."""
