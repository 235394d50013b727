"""The operator's door: a local socket of the running engine, and who speaks to it."""
