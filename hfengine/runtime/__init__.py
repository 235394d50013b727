"""Actors on one event loop: mailboxes, timers, routes, supervision, and the virtual-time loop."""
