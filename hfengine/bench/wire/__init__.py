"""Measurements over real sockets: floods, and wire to wire."""
