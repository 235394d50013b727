"""Real processes killed, frozen and starved: `python -m tests.chaos.run` (docs/chaos.md)."""
