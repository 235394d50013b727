"""Where the recordings and golden vectors lie, and the mark that skips a test without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
RECORDINGS = SHARED / "data" / "l2"
VECTORS = SHARED / "data" / "vectors"
MISSION = SHARED / "vectors" / "mission.json"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared (recordings and golden vectors) is not beside the clone"
)
