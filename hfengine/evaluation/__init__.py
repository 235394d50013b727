"""What the layers are worth on recordings: sampled, tested, and said plainly."""
