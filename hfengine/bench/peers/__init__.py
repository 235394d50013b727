"""What others do with the same frames, in this process: the other side of every ratio."""
