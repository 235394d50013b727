"""The status of an engine as plain structures, made of what its actors report."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from hfengine.config import Profile
from hfengine.messages import LeverageProof, MarkTick, OrderUpdate, PositionChanged

RISK_FIGURES: Final = (
    "day_loss_usdt",
    "total_loss_usdt",
    "drawdown",
    "peak_usdt",
    "losing_streak",
    "margin_use",
    "exposure_usdt",
    "exposure_all_usdt",
)
"""What risk's limits look at."""


def status_of(profile: Profile, seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `hfengine status --json` prints; distances are fractions of the mark."""
    told, settings = seen["telemetry"], profile.settings
    execution = seen["execution"]
    return {
        "profile": profile.name,
        "mode": settings.mode,
        "session": seen["session"],
        "now_ns": seen["now_ns"],
        "state": told["state"].state,
        "reason": told["state"].reason,
        "risk": risk_of(seen),
        "halts": halts_of(seen),
        "breakers": breakers_of(seen),
        "tripped_counts": dict(told.get("breakers", {})),
        "repair_counts": dict(told.get("repairs", {})),
        "difference_counts": dict(told.get("differences", {})),
        "limits": {name: seen["risk"].get(name) for name in RISK_FIGURES},
        "account": _account(told),
        "positions": position_rows(told["positions"].values(), told["marks"]),
        "orders": {
            "sent": execution["sent"],
            "open": execution["open"],
            "states": dict(execution.get("orders", {})),
        },
        "leverage": [_leverage(seen, proof) for proof in told["proofs"].values()],
        "leverage_mismatches": dict(told["leverage_mismatches"]),
        "uncovered_max_ms": seen["guardian"]["uncovered_max_ms"],
        "cover": dict(seen["guardian"].get("cover", {})),
        "books_synced": dict(told["synced"]),
        "venues": seen.get("venues", {}),
        "health": {name: _health(one) for name, one in told.get("health", {}).items()},
        "journal": {
            "enabled": settings.journal.enabled,
            "fault": halts_of(seen).get("journal", ""),
        },
        "store": _store(seen),
        "signals": seen["signals"]["signals"],
        "entries": seen["risk"]["entries"],
        "latency_ns": seen["stages"],
    }


def risk_of(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether entries are taken, why not, and the score with its parts."""
    risk = seen["risk"]
    return {
        "state": risk["state"],
        "reasons": list(risk["reasons"]),
        "score": risk["score"],
        "parts": dict(risk["parts"]),
    }


def halts_of(seen: Mapping[str, Any]) -> dict[str, str]:
    """Return every halt in force, source -> reason: what risk goes by."""
    return dict(seen["risk"]["halts"])


def breakers_of(seen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the circuit breakers that have warned or tripped; `symbol` "" is the account."""
    return [dict(one) for one in seen["risk"]["breakers"]]


def position_rows(
    positions: Iterable[PositionChanged], marks: Mapping[str, MarkTick]
) -> list[dict[str, Any]]:
    """Return the positions that are not flat, with how far stop and liquidation are."""
    return [
        _position(one, marks.get(one.symbol))
        for one in sorted(positions, key=lambda one: one.symbol)
        if one.quantity
    ]


def _position(one: PositionChanged, mark: MarkTick | None) -> dict[str, Any]:
    price = Decimal(repr(mark.mark)) if mark is not None and mark.mark > 0.0 else Decimal(0)
    return {
        "symbol": one.symbol,
        "side": "long" if one.side > 0 else "short",
        "quantity": one.quantity,
        "entry": one.entry,
        "mark": price or None,
        "unrealised_usdt": one.side * (price - one.entry) * one.quantity if price else None,
        "leverage": one.leverage,
        "margin_mode": one.margin_mode,
        "margin_usdt": one.margin_usdt,
        "stop": one.stop or None,
        "stop_distance": _distance(one, price, one.stop),
        "target": one.target or None,
        "liquidation": one.liquidation or None,
        "liquidation_distance": _distance(one, price, one.liquidation),
        "covered": one.covered,
        "uncovered": max(one.quantity - one.covered, Decimal(0)),
    }


def _distance(one: PositionChanged, mark: Decimal, level: Decimal) -> float | None:
    """Return how far the mark may still move against a position until it is at `level`."""
    return float(one.side * (mark - level) / mark) if mark and level else None


def order_rows(orders: Iterable[OrderUpdate]) -> list[dict[str, Any]]:
    """Return open orders as rows, by symbol; "" and None where the venue says nothing."""
    return [
        {
            "symbol": one.symbol,
            "side": "buy" if one.side > 0 else "sell",
            "kind": one.kind,
            "quantity": one.quantity,
            "filled": one.filled,
            "price": one.price or None,
            "trigger": one.trigger or None,
            "reduce_only": one.reduce_only,
            "state": one.state,
            "client_id": one.client_id,
            "venue_id": one.venue_id,
            "ours": one.client_id.startswith("hf-"),
        }
        for one in sorted(orders, key=lambda one: (one.symbol, one.client_id, one.venue_id))
    ]


def _account(told: Mapping[str, Any]) -> dict[str, Any] | None:
    balance = told["balance"]
    if balance is None:
        return None
    return {
        "wallet_usdt": balance.wallet_usdt,
        "equity_usdt": balance.equity_usdt,
        "free_margin_usdt": balance.free_margin_usdt,
        "net_usdt": told["gross_usdt"] - told["fees_usdt"] - told["funding_usdt"],
    }


def _leverage(seen: Mapping[str, Any], proof: LeverageProof) -> dict[str, Any]:
    return {
        "symbol": proof.symbol,
        "wanted": proof.wanted,
        "got": proof.got,
        "margin_mode": proof.margin_mode,
        "source": proof.source,
        "age_s": max(seen["now_ns"] - proof.at_ns, 0) / 1e9,
    }


def _health(one: Any) -> dict[str, Any]:
    return {
        "clock_offset_ms": one.clock_offset_ms,
        "answer_ms": one.answer_ms,
        "connected": one.connected,
    }


def _store(seen: Mapping[str, Any]) -> dict[str, Any]:
    keeper = seen.get("keeper", {})
    return {"fault": keeper.get("fault", ""), "lost": keeper.get("lost", False)}
