"""The operator's door of a local venue: look at everything, inject every fault. Loopback only."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected
from hfengine.localvenue.commands import run_command
from hfengine.localvenue.faults import Rule
from hfengine.localvenue.ports import ApiKey, Dialect, HttpAnswer, HttpRequest
from hfengine.localvenue.world import WALLET_USDT, World

PREFIX: Final = "/admin"
LOOPBACK: Final = ("127.", "::1", "::ffff:127.")
_BAD: Final = 400
_FORBIDDEN: Final = 403
_UNKNOWN: Final = 404


class NewAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to let in, and the account it opens."""

    account: str
    key: str
    secret: str
    passphrase: str = ""
    wallet_usdt: Decimal = WALLET_USDT


class ChosenSockets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sockets: those whose path contains a text; `code` is for closing them."""

    path: str = ""
    code: Annotated[int, msgspec.Meta(ge=1000, le=4999)] = 1001


SocketsCommand = Callable[[str, str, int], int]
"""Does `drop`, `stall` or `close` to the sockets whose path contains a text; how many."""


class AdminApi:
    """Answers requests under /admin; every answer is JSON."""

    def __init__(
        self,
        world: World,
        dialect: Dialect,
        sockets: Callable[[], list[dict[str, Any]]],
        to_sockets: SocketsCommand,
    ) -> None:
        self._world = world
        self._dialect = dialect
        self._sockets = sockets
        self._to_sockets = to_sockets
        self._routes: Mapping[tuple[str, str], Callable[[HttpRequest], Any]] = {
            ("GET", "/admin/status"): lambda _: self.status(),
            ("GET", "/admin/accounts"): lambda _: self._accounts(),
            ("GET", "/admin/ledger"): self._ledger,
            ("GET", "/admin/orders"): self._orders,
            ("GET", "/admin/positions"): self._positions,
            ("GET", "/admin/fills"): self._fills,
            ("GET", "/admin/faults"): lambda _: self._rules(),
            ("POST", "/admin/faults"): self._add_faults,
            ("DELETE", "/admin/faults"): self._clear_faults,
            ("POST", "/admin/do"): self._do,
            ("POST", "/admin/accounts"): self._add_account,
        }

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request; one from another machine is refused."""
        if not request.remote.startswith(LOOPBACK):
            return _answer({"error": "the admin API answers on the loopback only"}, _FORBIDDEN)
        handler = self._routes.get((request.method, request.path.rstrip("/")))
        if handler is None:
            known = [f"{method} {path}" for method, path in self._routes]
            return _answer({"error": "no such admin call", "calls": known}, _UNKNOWN)
        try:
            return _answer(handler(request))
        except (msgspec.MsgspecError, ValueError, VenueRejected) as problem:
            return _answer({"error": str(problem)}, _BAD)
        except KeyError as problem:
            return _answer({"error": f"there is no {problem.args[0]}"}, _BAD)

    def status(self) -> dict[str, Any]:
        """Return what the venue is and how it does."""
        world = self._world
        source = world.source
        return {
            "dialect": self._dialect.name,
            "feed": source.name,
            "now_ms": world.now_ms(),
            "clock_skew_ms": world.clock_skew_ns / 1e6,
            "symbols": list(world.instruments),
            "accounts": world.accounts(),
            "frames": getattr(source, "frames", 0),
            "late_ms": round(getattr(source, "late_ms", 0.0), 3),
            "sockets": self._sockets(),
            "faults": self._rules()["faults"],
            "faults_done": world.faults.done,
            "problems": list(world.market.problems),
        }

    # Looking

    def _chosen(self, request: HttpRequest) -> list[str]:
        """Return the account asked for, or all; raises KeyError for an unknown one."""
        wanted = request.query.get("account", "")
        known = self._world.accounts()
        if wanted and wanted not in known:
            raise KeyError(f"account {wanted!r}; there are {', '.join(known)}")
        return [wanted] if wanted else known

    def _accounts(self) -> dict[str, Any]:
        world = self._world
        keys: dict[str, list[str]] = {}
        for key in world.keys.values():
            keys.setdefault(key.account, []).append(key.key)
        return {
            name: {"keys": keys[name], "balance": world.exchange.balance(name)}
            for name in world.accounts()
        }

    def _ledger(self, request: HttpRequest) -> dict[str, Any]:
        ledgers = {name: self._world.exchange.ledger(name) for name in self._chosen(request)}
        return {
            name: {
                "wallet_usdt": ledger.wallet_usdt,
                "entries": [
                    {
                        "at_ns": entry.at_ns,
                        "kind": entry.kind,
                        "symbol": entry.symbol,
                        "change_usdt": entry.change_usdt,
                    }
                    for entry in ledger.entries
                ],
            }
            for name, ledger in ledgers.items()
        }

    def _orders(self, request: HttpRequest) -> dict[str, Any]:
        symbol = request.query.get("symbol") or None
        open_only = request.query.get("open_only", "") in ("1", "true")
        return {
            name: self._world.exchange.order_reports(name, symbol, open_only)
            for name in self._chosen(request)
        }

    def _positions(self, request: HttpRequest) -> dict[str, Any]:
        symbol = request.query.get("symbol") or None
        return {
            name: self._world.exchange.position_reports(name, symbol)
            for name in self._chosen(request)
        }

    def _fills(self, request: HttpRequest) -> dict[str, Any]:
        symbol = request.query.get("symbol") or None
        after = int(request.query.get("after", "0"))
        return {
            name: self._world.exchange.fill_reports(name, symbol, after)
            for name in self._chosen(request)
        }

    # Doing

    def _rules(self) -> dict[str, Any]:
        return {"faults": self._world.faults.rules()}

    def _add_faults(self, request: HttpRequest) -> dict[str, Any]:
        asked = msgspec.json.decode(request.body, type=Rule | list[Rule])
        for rule in asked if isinstance(asked, list) else [asked]:
            self._world.faults.add(rule)
        return self._rules()

    def _clear_faults(self, request: HttpRequest) -> dict[str, Any]:
        return {"removed": self._world.faults.clear(request.query.get("kind", ""))}

    def _do(self, request: HttpRequest) -> dict[str, Any]:
        arguments = msgspec.json.decode(request.body, type=dict[str, Any])
        name = str(arguments.pop("do", ""))
        if name in ("drop_sockets", "stall_sockets", "close_sockets"):
            chosen = msgspec.convert(arguments, ChosenSockets, strict=False)
            deed = name.partition("_")[0]
            return {"done": name, "sockets": self._to_sockets(deed, chosen.path, chosen.code)}
        said = run_command(self._world, name, arguments, self._dialect.command)
        return {"done": name, **said}

    def _add_account(self, request: HttpRequest) -> dict[str, Any]:
        new = msgspec.json.decode(request.body, type=NewAccount, strict=False)
        if not new.wallet_usdt.is_finite():
            raise ValueError(f"wallet_usdt must be a finite number, not {new.wallet_usdt}")
        key = ApiKey(
            key=new.key,
            secret=new.secret.encode(),
            account=new.account,
            passphrase=new.passphrase,
        )
        self._world.add_key(key, new.wallet_usdt)
        return {"account": new.account, "key": new.key}


def _answer(content: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(body=msgspec.json.encode(content), status=status)
