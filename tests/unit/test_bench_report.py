"""Memory figures, picture and report of `hfengine bench`, on figures made by hand."""

import json

import pytest
from msgspec.structs import replace

from hfengine.bench.allocations import (
    Memory,
    MemoryUse,
    memory_use,
    peak_resident_bytes,
    resident_bytes,
    slope_of,
)
from hfengine.bench.hot_path import Bench, Until, measure
from hfengine.bench.picture import draw, log_edges
from hfengine.bench.report import build_report, cpu_name, flattened, machine
from hfengine.bench.rounds import PeerReport, Quantiles, Spread
from hfengine.bench.startup import Startup
from hfengine.config import load

STAGE = {"p50": 10, "p99": 20, "p999": 30, "max": 40, "count": 5}
MEASURED = Bench(
    market="synthetic, seed 1",
    frames=5,
    wall_s=0.5,
    frames_per_s=10.0,
    journal_records=7,
    flat=True,
    latency_ns={"decode": STAGE},
    buckets={"decode": [(9, 4), (40, 1)], "risk": []},
    memory=MemoryUse(50 * 2**20, 2.0 * 2**20),
)
HOT = Quantiles(p50=9_000, p99=20_000, p999=30_000, max=40_000, count=5)


def test_the_slope_is_that_of_the_second_half_per_million_frames():
    looks = [Memory(n * 1000, 10_000_000 + (n < 5) * 777 + n * 1000) for n in range(10)]
    assert memory_use(looks).resident_slope == pytest.approx(1_000_000.0)
    assert memory_use(looks).resident_bytes == looks[-1].resident_bytes


def test_flat_memory_has_no_slope():
    looks = [Memory(n * 1000, 4096) for n in range(10)]
    assert memory_use(looks).resident_slope == 0.0


def test_allocations_are_per_frame_of_the_second_half():
    looks = [Memory(n * 100, 1, allocated=n * 700 + 5, freed=n * 650) for n in range(8)]
    use = memory_use(looks)
    assert use.allocations_per_frame == pytest.approx(7.0)
    assert use.blocks_kept_per_frame == pytest.approx(0.5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_looks_say_nothing_of_a_slope(count):
    looks = [Memory(n * 1000, n * 4096) for n in range(count)]
    assert memory_use(looks).resident_slope is None


def test_no_frames_between_looks_say_nothing_of_a_slope():
    assert memory_use([Memory(5, n) for n in range(8)]).resident_slope is None


def test_the_slope_of_points_on_a_line_and_above_each_other():
    assert slope_of([(0, 1), (10, 21), (20, 41)]) == 2.0
    assert slope_of([(3, 1), (3, 9)]) == 0.0


def test_resident_memory_is_read_in_bytes(tmp_path):
    resident, peak = resident_bytes(), peak_resident_bytes()
    assert resident is not None
    assert peak is not None
    assert 2**22 < resident <= peak < 2**36
    status = tmp_path / "status"
    assert peak_resident_bytes(status) is None
    status.write_text("Name:\tx\nVmHWM:\t  40 kB\n")
    assert peak_resident_bytes(status) == 40 * 1024


def test_the_picture_is_a_png_of_every_stage_that_has_stamps(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "bench.png"
    draw(MEASURED.buckets, path, "title")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_picture_of_nothing_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="nothing was measured"):
        draw({"decode": []}, tmp_path / "bench.png", "title")


def test_bin_edges_enclose_what_was_measured():
    edges = log_edges(100, 10_000)
    assert edges[0] < 100 < 10_000 < edges[-1]
    assert edges == sorted(edges)


def report(peers=None, startup=None):
    return build_report(machine(), MEASURED, MEASURED.memory, HOT, peers, startup, ["a note"])


def test_the_json_object_has_the_names_of_the_contract():
    found = json.loads(report().json())
    assert found["tick_to_order_ns"] == {"p50": 9_000, "p99": 20_000, "p999": 30_000}
    assert found["stages_ns"] == {"decode": STAGE}
    assert found["frames_per_s"] == 10.0
    assert found["notes"] == ["a note"]
    assert "ratios" not in found
    assert "startup" not in found


def test_ratios_are_median_min_and_max_and_wire_figures_one_a_way_of_waiting():
    one, two = Spread(2.0, 1.0, 3.0), Spread(5.0, 4.0, 6.0)
    peers = PeerReport(
        rounds=5,
        enough_rounds=True,
        ratios={"decode_trade": one, "wire_to_wire_vs_floor": {"spin": one, "sleep": two}},
        quantiles_ns={"engine_hot": HOT},
        rates_per_s={},
        notes=["no nautilus"],
    )
    found = json.loads(report(peers).json())
    assert found["ratios"]["decode_trade"] == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert found["ratios"]["wire_to_wire_vs_floor"]["sleep"]["median"] == 5.0
    assert found["rounds"] == 5
    assert found["notes"] == ["a note", "no nautilus"]
    assert flattened("w", {"spin": one}) == [("w (spin)", one)]
    assert [len(table.rows) for table in report(peers).tables()] == [1, 3, 1]
    page = report(peers).markdown()
    assert "| ratio, 5 rounds | median | min | max |" in page
    assert "| wire_to_wire_vs_floor (sleep) | 5.00 | 4.00 | 6.00 |" in page
    assert "| engine_hot | 9.00 | 20.00 | 30.00 | 40.00 | 5 |" in page


def test_the_headline_names_machine_date_memory_and_start():
    startup = Startup(Spread(0.25, 0.2, 0.3), 39.0, [], [])
    shown = report(startup=startup)
    shown = replace(shown, memory=MemoryUse(50 * 2**20, 2.0 * 2**20, 7.0, 0.5))
    text = "\n".join(shown.headline())
    for part in ("Python 3", "slope +2.00 MiB", "7.0 allocations", "trading 0.25", "p50 9.0"):
        assert part in text
    assert machine().measured_at[:4] in text


def test_the_processor_is_named_where_the_system_tells(tmp_path):
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor : 0\nmodel name\t: Some CPU @ 2.5 GHz\n")
    assert cpu_name(listing) == "Some CPU @ 2.5 GHz"
    assert cpu_name(tmp_path / "absent")


def test_a_run_ends_at_its_frames_and_counts_allocations():
    paper = load("paper", environment={}, dotenv=None, overrides={})
    found = measure(paper, [], Until(frames=24_000), count_allocations=True)
    assert 24_000 <= found.frames < 50_000
    assert found.flat
    assert found.memory.allocations_per_frame is not None
    assert 1.0 < found.memory.allocations_per_frame < 1000.0
    assert sum(count for _, count in found.buckets["decode"]) >= found.frames
