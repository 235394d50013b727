"""One account's engines, one after another over one local venue, and what all of them left."""

import hmac
import io
import json
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from hfengine.cli import main as command_line
from hfengine.control.client import EngineGone, EngineRefused, EngineSilent, ask
from hfengine.control.place import socket_path
from hfengine.credentials import LOCAL_KEYS
from hfengine.journal.manifest import load
from hfengine.journal.reader import NotAJournal, Scan, decode
from hfengine.state.lock import Instance, running
from tests.venue_processes import EngineProcess, VenueProcess, engine_process

Row = dict[str, Any]
SETTINGS: Mapping[str, str] = {
    # a position soon
    "HFENGINE_SIGNALS__WARMUP": "60",
    "HFENGINE_SIGNALS__DRIFT_MIN": "0.00005",
    "HFENGINE_SIGNALS__CONFIDENCE_MIN": "0.3",
    "HFENGINE_SIGNALS__COOLDOWN_S": "2",
    # positions that stay: nothing but the stop far away, and the engine, takes them out
    "HFENGINE_PROTECTION__STOP_PERCENT": "0.9",
    "HFENGINE_PROTECTION__TARGET_PERCENT": "5",
    "HFENGINE_REBALANCE__INTERVAL_S": "3600",
    "HFENGINE_REBALANCE__DECAY_THRESHOLD": "1",
    "HFENGINE_REBALANCE__CONFIDENCE_DROP_RELATIVE": "1",
    "HFENGINE_REBALANCE__MAX_HOLD_HALF_LIVES": "1000000",
    "HFENGINE_RECOVERY__RECONCILE_S": "3",
}
NO_ENTRIES: Mapping[str, str] = {"HFENGINE_SIGNALS__DRIFT_MIN": "1"}


class Typed(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def typed(folder: Path, *words: str) -> Typed:
    """Type a command in a directory, with nothing else in the environment."""
    out, err = io.StringIO(), io.StringIO()
    home = patch.dict("os.environ", {"HOME": str(folder)}, clear=True)
    with chdir(folder), home, patch.object(sys, "argv", ["hfengine", *words]):
        code = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                command_line.main()
            except SystemExit as ended:
                code = int(ended.code or 0)
    told = Typed(code, out.getvalue(), err.getvalue())
    assert "Traceback" not in told.out + told.err, told
    return told


class Desk:
    """The directory of one account: its engines run in it one after another."""

    def __init__(self, folder: Path, venue: VenueProcess, profile: str = "bybit-local") -> None:
        self.folder = folder
        self.venue = venue
        self.profile = profile

    @contextmanager
    def engine(self, settings: Mapping[str, str] | None = None) -> Iterator[EngineProcess]:
        """Run an engine until its door is open; killed, as kill -9 does, when left."""
        words = ["--profile", self.profile, "--venue-url", self.venue.http]
        with engine_process(self.folder, words, {**SETTINGS, **(settings or {})}) as engine:
            engine.until(lambda: self.alive() is not None, "an engine's door")
            yield engine

    def alive(self) -> Instance | None:
        """Return the engine that runs here and can be spoken to."""
        for one in running(self.folder / "state"):
            if one.alive and one.facts.session and one.facts.socket:
                return one
        return None

    def status(self) -> Row:
        """Return what the running engine says of itself, {} while it does not."""
        engine = self.alive()
        if engine is None:
            return {}
        try:
            return dict(ask(engine.facts.socket, "status"))
        except (EngineGone, EngineSilent, EngineRefused):
            return {}

    def typed(self, *words: str) -> Typed:
        """Type a command where the engine runs."""
        return typed(self.folder, *words)

    def sessions(self) -> list[Path]:
        """Return the session logs, the oldest first."""
        found = (self.folder / "journals").glob("*/manifest.json")
        return sorted((path.parent for path in found), key=lambda path: load(path).started_ns)

    def said(self, kind: str, session: int = -1) -> list[Row]:
        """Return the messages of one kind in one session's log, of the newest by default."""
        paths = self.sessions()
        try:
            path = paths[session]
            rows = [decode(frame.payload) for frame in Scan(path).frames()]
        except (IndexError, NotAJournal, FileNotFoundError):
            return []
        return [row for row in rows if row["type"] == kind]

    def everything(self) -> str:
        """Return all that the engines left on the disk, as one text."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return "\n".join(path.read_bytes().decode("latin-1") for path in files)

    def check_books(self) -> None:
        """Hold all session logs against the venue's books: each fill once, and every cent."""
        count = len(self.sessions())
        told = [row for number in range(count) for row in self.said("Fill", number)]
        paid = [row for number in range(count) for row in self.said("FundingPaid", number)]
        ids = [row["fill_id"] for row in told]
        assert len(ids) == len(set(ids)), "a fill was counted twice"
        assert len(ids) == len(self.venue.fills())
        earned = sum((Decimal(r["realised_usdt"]) for r in told), Decimal(0))
        earned -= sum((Decimal(r["fee_usdt"]) for r in told), Decimal(0))
        funding = {(r["symbol"], r["at_ns"]): Decimal(r["funding_usdt"]) for r in paid}
        assert earned - sum(funding.values(), Decimal(0)) == self.venue.earned_usdt()


def no_sockets(folder: Path) -> bool:
    """Tell whether no control socket stands of any account that a folder has a lock of."""
    state = folder / "state"
    accounts = [path.stem for path in state.glob("*.lock")]
    return bool(accounts) and not any(socket_path(str(state), one).exists() for one in accounts)


def covered(desk: Desk, symbol: str) -> Any:
    """Return the position as the engine sees it once its stop covers all of it."""
    for one in desk.status().get("positions", []):
        if one["symbol"] == symbol and one["stop"] and float(one["uncovered"]) == 0.0:
            return one
    return None


def buy(
    venue: VenueProcess, symbol: str, quantity: str, client_id: str, *, set_mode: bool = True
) -> None:
    """Buy at market as another client of the Bybit account does, isolated and with no stop.

    `set_mode` is for an account that no engine has made isolated yet.
    """
    if set_mode:
        _post(venue, "account/set-margin-mode", {"setMarginMode": "ISOLATED_MARGIN"})
    wanted = {"category": "linear", "symbol": symbol, "side": "Buy", "orderType": "Market"}
    _post(venue, "order/create", {**wanted, "qty": quantity, "orderLinkId": client_id})


def _post(venue: VenueProcess, path: str, wanted: Mapping[str, str]) -> None:
    body, at_ms = json.dumps(wanted), str(time.time_ns() // 1_000_000)
    said = f"{at_ms}{LOCAL_KEYS.key}5000{body}"
    headers = {
        "Content-Type": "application/json",
        "X-BAPI-API-KEY": LOCAL_KEYS.key,
        "X-BAPI-TIMESTAMP": at_ms,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": hmac.new(LOCAL_KEYS.secret.encode(), said.encode(), "sha256").hexdigest(),
    }
    request = urllib.request.Request(f"{venue.http}/v5/{path}", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        told = json.loads(answer.read())
    assert told["retCode"] == 0, told
