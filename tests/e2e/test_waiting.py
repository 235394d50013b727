"""A real engine waits as its profile says, trades and rehearses while it does, and says which."""

from pathlib import Path
from typing import Any

import pytest

from hfengine.runtime.cores import AS_THE_SYSTEM
from tests.venue_processes import ROOT, engine_process

LIVELY = {
    "HFENGINE_SIGNALS__WARMUP": "30",
    "HFENGINE_SIGNALS__CONFIDENCE_MIN": "0.3",
    "HFENGINE_SIGNALS__DRIFT_MIN": "0.00002",
    "HFENGINE_RUNTIME__WARM_EVERY_MS": "10",
}
PROFILE = ["--profile", str(ROOT / "configs" / "bybit-local.toml")]
AWAKE = "asleep, cores awake within 0 us"


def ended(folder: Path, settings: dict[str, str]) -> dict[str, Any]:
    """Return the summary of a run that is interrupted after its first fill."""
    with engine_process(folder, PROFILE, LIVELY | settings) as engine:
        engine.until(lambda: engine.said().get("Fill"), "a fill")
        engine.interrupt()
        code, summary, said = engine.ended()
    assert code == 0, said
    return summary


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({"HFENGINE_RUNTIME__LOOP": "spin"}, ("spinning",)),
        ({"HFENGINE_RUNTIME__WAKE_LATENCY_US": "-1"}, (AS_THE_SYSTEM,)),
        # as the machine permits
        ({}, (AWAKE, f"{AS_THE_SYSTEM}: /dev/cpu_dma_latency: ")),
    ],
    ids=["spinning", "asleep", "by default"],
)
def test_it_trades_however_it_waits(
    tmp_path: Path, settings: dict[str, str], waits: tuple[str, ...]
) -> None:
    summary = ended(tmp_path, settings)
    assert summary["flat"]
    assert summary["ledger_difference_usdt"] == 0
    assert summary["waiting"].startswith(waits)
    assert summary["rehearsals"] > 0
    assert summary["rehearsal_fault"] == ""
