"""What must be right before a profile trades, checked one by one, with what to do about it."""
