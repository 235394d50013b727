"""Where current state and history are kept: SQLite by default, Redis by profile."""
