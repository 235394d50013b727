"""Account, positions and settings over REST."""

from hfengine.localvenue.bybit.account_rows import account_row, coin_row, key_row
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.errors import PARAMETERS, Refused
from hfengine.localvenue.bybit.gate import Private
from hfengine.localvenue.bybit.order_desk import Answer
from hfengine.localvenue.bybit.order_rows import POSITION_INDEX
from hfengine.localvenue.bybit.pages import forward_page, page, within
from hfengine.localvenue.bybit.parameters import Parameters, text
from hfengine.localvenue.bybit.position_desk import PositionDesk
from hfengine.localvenue.bybit.trade_rest import is_linear, listing
from hfengine.localvenue.figures import plain


class AccountRest:
    """Endpoints under /v5/account, /v5/position, /v5/user and /v5/asset."""

    def __init__(self, desk: Desk, positions: PositionDesk) -> None:
        self._desk = desk
        self._world = desk.world
        self._positions = positions

    def routes(self) -> dict[tuple[str, str], Private]:
        """Return what answers each signed path."""
        positions = self._positions
        return {
            ("GET", "/v5/user/query-api"): self._key,
            ("GET", "/v5/asset/coin/query-info"): self._coins,
            ("GET", "/v5/account/info"): self._info,
            ("GET", "/v5/account/wallet-balance"): self._wallet,
            ("GET", "/v5/account/fee-rate"): self._fees,
            ("POST", "/v5/account/set-margin-mode"): positions.set_margin_mode,
            ("GET", "/v5/position/list"): self._list,
            ("GET", "/v5/position/closed-pnl"): self._closed,
            ("POST", "/v5/position/set-leverage"): positions.set_leverage,
            ("POST", "/v5/position/switch-mode"): positions.switch_mode,
            ("POST", "/v5/position/trading-stop"): positions.trading_stop,
        }

    def _key(self, account: str, _parameters: Parameters) -> Answer:
        key = next(one.key for one in self._world.keys.values() if one.account == account)
        return Answer(result=key_row(key, account))

    def _coins(self, _account: str, parameters: Parameters) -> Answer:
        wanted = text(parameters, "coin") in {"", "USDT"}
        return Answer(result={"rows": [coin_row()] if wanted else []})

    def _info(self, account: str, _parameters: Parameters) -> Answer:
        isolated = self._desk.is_isolated(account)
        return Answer(result=account_row(isolated=isolated, at_ms=self._world.now_ms()))

    def _wallet(self, account: str, parameters: Parameters) -> Answer:
        if text(parameters, "accountType") != "UNIFIED":
            raise Refused(PARAMETERS, "accountType only support UNIFIED.")
        row = self._desk.wallet_row(account)
        if "USDT" not in (text(parameters, "coin") or "USDT").split(","):
            row["coin"] = []
        return Answer(result={"list": [row]})

    def _fees(self, _account: str, parameters: Parameters) -> Answer:
        symbol = text(parameters, "symbol")
        if symbol:
            self._desk.instrument(symbol)
        rows = [
            {
                "symbol": one.symbol,
                "takerFeeRate": plain(one.taker_fee),
                "makerFeeRate": plain(one.maker_fee),
                "baseCoin": "",
            }
            for one in self._world.instruments.values()
            if symbol in {"", one.symbol}
        ]
        return Answer(result={"list": rows})

    def _list(self, account: str, parameters: Parameters) -> Answer:
        """List positions: of one symbol also flat ones, else those that are held."""
        if not is_linear(parameters):
            return listing(parameters, [])
        symbol = text(parameters, "symbol")
        if symbol:
            self._desk.instrument(symbol)
        elif not text(parameters, "settleCoin"):
            raise Refused(
                PARAMETERS,
                "Missing some parameters that must be filled in, symbol or settleCoin",
            )
        elif text(parameters, "settleCoin") != "USDT":
            return listing(parameters, [])
        reports = sorted(
            self._desk.positions(account, symbol or None),
            key=lambda one: (one.changed.symbol, POSITION_INDEX[one.slot]),
        )
        shown, cursor = forward_page(reports, parameters, default=20, most=200)
        rows = [self._desk.position_row(account, one) for one in shown]
        return listing(parameters, rows, cursor)

    def _closed(self, account: str, parameters: Parameters) -> Answer:
        """List what orders closed, with the PnL after fees."""
        if not is_linear(parameters):
            return listing(parameters, [])
        symbol = text(parameters, "symbol") or None
        if symbol:
            self._desk.instrument(symbol)
        rows = [
            (number, row)
            for number, (at_ns, _, row) in enumerate(self._desk.closed(account, symbol))
            if within(parameters, at_ns)
        ]
        rows.reverse()
        shown, cursor = page(rows, lambda one: one[0], parameters, default=50, most=100)
        return listing(parameters, [row for _, row in shown], cursor)
