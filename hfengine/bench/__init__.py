"""Measurements for users: what `hfengine bench` runs."""
