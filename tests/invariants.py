"""DESIGN section 8, checked on a journal: what must hold in every run."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from hfengine.journal.reader import Scan, decode
from hfengine.settings import Settings

COVER_MAX_NS = 500_000_000


def records(directory: Path) -> list[dict[str, Any]]:
    """Return every logged message as a mapping, after proving the journal whole."""
    scan = Scan(directory)
    rows = [decode(frame.payload) for frame in scan.frames()]
    verdict = scan.verdict()
    assert verdict.code == 0, verdict.detail
    return rows


def of(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["type"] == name]


def check_all(rows: list[dict[str, Any]], settings: Settings) -> None:
    """Assert I1 to I5 and I8; I6 is for two runs, I7 and I9 need faults."""
    entry_implies_proof(rows, settings)
    position_implies_cover(rows)
    one_order_per_intent(rows)
    limits_hold(rows, settings)
    money_adds_up(rows)
    every_signal_is_accounted_for(rows)


def entry_implies_proof(rows: list[dict[str, Any]], settings: Settings) -> None:
    """I1: before each bracket stands a fresh, matching proof."""
    proofs: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["type"] == "LeverageProof":
            proofs[row["symbol"]] = row
        elif row["type"] == "OpenBracket":
            proof = proofs.get(row["symbol"])
            assert proof is not None, f"no proof before {row}"
            wanted = settings.leverage.of(row["symbol"])
            assert proof["got"] == proof["wanted"] == row["leverage"] == wanted
            assert proof["at_ns"] == row["proof_at_ns"]
            assert row["at_ns"] - proof["at_ns"] <= settings.leverage.proof_age_max_s * 1e9


def position_implies_cover(rows: list[dict[str, Any]]) -> None:
    """I2: stop cover reaches the quantity within 500 ms of each fill."""
    since: dict[str, int] = {}
    for row in rows:
        if row["type"] != "PositionChanged":
            continue
        symbol, held = row["symbol"], Decimal(row["quantity"])
        if Decimal(row["covered"]) >= held:
            begun_ns = since.pop(symbol, row["at_ns"])
            assert row["at_ns"] - begun_ns <= COVER_MAX_NS, f"{symbol} was uncovered too long"
        else:
            since.setdefault(symbol, row["at_ns"])
        if held:
            stop, entry, liquidation = (Decimal(row[k]) for k in ("stop", "entry", "liquidation"))
            assert row["side"] * (entry - stop) > 0, "the stop lies on the losing side"
            assert row["side"] * (stop - liquidation) > 0, "the stop comes before liquidation"
    assert not since, f"left uncovered: {since}"


def one_order_per_intent(rows: list[dict[str, Any]]) -> None:
    """I3: ids are used once, one entry in flight a symbol, fills counted once and all."""
    sent = [row["client_id"] for row in of(rows, "OrderSent")]
    assert len(sent) == len(set(sent))
    fills = of(rows, "Fill")
    assert len({row["fill_id"] for row in fills}) == len(fills)
    flying: dict[str, int] = {}
    for row in rows:
        if row["type"] == "OpenBracket":
            assert row["symbol"] not in flying, f"a second entry in flight: {row}"
            flying[row["symbol"]] = row["intent"]
        elif row["type"] == "OrderEnded":
            if flying.get(row["symbol"]) == row["intent"]:
                del flying[row["symbol"]]
            done = sum(Decimal(f["quantity"]) for f in fills if f["client_id"] == row["client_id"])
            assert done == Decimal(row["filled"])


def limits_hold(rows: list[dict[str, Any]], settings: Settings) -> None:
    """I4: margin, exposure and position limits; no entry after a halt; flat at the end."""
    sizing = settings.sizing
    held: dict[str, Decimal] = {}
    stopped = False
    equity = Decimal(0)
    for row in rows:
        match row["type"]:
            case "BalanceChanged":
                equity = Decimal(row["equity_usdt"])
            case "PositionChanged":
                held[row["symbol"]] = Decimal(row["quantity"])
            case "Halt" | "Flatten":
                stopped = True
            case "OpenBracket":
                assert not stopped, "an entry after a halt"
                notional = Decimal(row["quantity"]) * Decimal(row["price"])
                margin = notional / row["leverage"]
                cap = equity * Decimal(str(sizing.share_of_equity_max))
                # the limit price may lie a slippage beyond the price it was sized at
                assert margin <= cap * Decimal("1.001")
                assert sum(1 for q in held.values() if q) < sizing.positions_max
    assert not any(held.values()), f"not flat: {held}"


def money_adds_up(rows: list[dict[str, Any]]) -> None:
    """I5: wallet changes are realised profit less fees less funding, to the last unit."""
    balances = of(rows, "BalanceChanged")
    expected = Decimal(balances[0]["wallet_usdt"])
    for row in rows:
        if row["type"] == "Fill":
            expected += Decimal(row["realised_usdt"]) - Decimal(row["fee_usdt"])
        elif row["type"] == "FundingPaid":
            expected -= Decimal(row["funding_usdt"])
    assert Decimal(balances[-1]["wallet_usdt"]) == expected


def every_signal_is_accounted_for(rows: list[dict[str, Any]]) -> None:
    """I8: signals = brackets + named refusals, each with value and threshold."""
    refusals, brackets = of(rows, "Refusal"), of(rows, "OpenBracket")
    ended = [row["signal_id"] for row in refusals] + [row["signal_id"] for row in brackets]
    assert sorted(ended) == list(range(1, len(ended) + 1))
    entries = {row["signal_id"] for row in of(rows, "Entry")}
    assert entries <= set(ended)
    assert {row["signal_id"] for row in brackets} <= entries
    for row in refusals:
        assert row["gate"]
        assert isinstance(row["measured"], int | float)
        assert isinstance(row["threshold"], int | float)
