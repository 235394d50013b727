"""From a request to its bytes in one call, against the same way walked in Python step by step."""

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.kernels.binance_orders import BinanceOrders
from hfengine.kernels.bybit_orders import BybitOrders
from hfengine.kernels.signing import HmacSha256
from hfengine.requests import OrderRequest
from hfengine.venues.order_entry import BAD_ORDER, UNSUPPORTED
from tests.order_entry_desk import KEY, SECRET, Desk, entry_request

Reference = Callable[[Any, OrderRequest], bytes]

GRIDS = [("0.10", "0.001"), ("0.01", "1"), ("0.0000001", "100"), ("1", "0.00001")]
TIFS = {"gtc": 0, "ioc": 1, "fok": 2, "post_only": 3}
CONDITIONAL = ("stop_market", "take_profit_market")
STAMP = (1_723_118_400_000_001, 1_723_118_400_123)

BYBIT = [BybitOrders("BTCUSDT", *grid) for grid in GRIDS]
BINANCE = [BinanceOrders("BTCUSDT", *grid, KEY, HmacSha256(SECRET)) for grid in GRIDS]

ODD = [
    "0", "-0", "0.000", "0E+3", "-0.1", "0.05", "61234.55", "1E+1", "1E-7", "1E+20", "1E-30",
    "9" * 30, "NaN", "sNaN", "Infinity", "-Infinity", "1.10000000000000000000000000",
]  # fmt: skip

CHANGES: list[dict[str, Any]] = [
    {"client_id": "no id"},
    {"client_id": "é"},
    {"client_id": ""},
    {"client_id": 7},
    {"reduce_only": True},
    {"reduce_only": 1},
    {"stop": Decimal("-0")},
    {"side": True},
    {"tif": "day"},
    {"kind": "iceberg"},
    {"kind": str(b"limit", "ascii")},
    {"protect_by": "index"},
    {"trigger_by": "index"},
    {"price": 5},
    {"quantity": "1"},
]


@st.composite
def numbers(draw: st.DrawFn, unit: str) -> Decimal:
    """A number on a grid, written one way or another; sometimes none that fits."""
    if draw(st.integers(0, 19)) == 0:
        return Decimal(draw(st.sampled_from(ODD)))
    number = Decimal(unit) * draw(st.just(0) | st.integers(1, 10**10))
    way = draw(st.integers(0, 2))
    return (number, number.normalize(), number * Decimal("1.00"))[way]


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, OrderRequest]:
    """A grid's place in GRIDS and an order for it, right in most fields."""
    at = draw(st.integers(0, len(GRIDS) - 1))
    tick, step = GRIDS[at]
    odd = draw(st.integers(0, 9)) == 0
    protected = draw(st.booleans())
    prices = numbers(tick)
    request = OrderRequest(
        draw(st.sampled_from(["id", "hf-0123456789-000001e0", "a" * 35, "a" * 36])),
        "BTCUSDT",
        draw(st.sampled_from([1, -1, 0, 2, 2**40, -(2**40)] if odd else [1, -1])),
        draw(st.sampled_from(["limit", "limit", "market", *CONDITIONAL])),
        draw(numbers(step)),
        draw(prices),
        draw(st.sampled_from([*TIFS])),
        draw(st.booleans()) and not protected,
        draw(prices),
        draw(st.sampled_from(["mark", "last"])),
        draw(st.integers(0, 9)) == 0,
        draw(prices) if protected else Decimal(0),
        draw(prices) if protected else Decimal(0),
        draw(st.sampled_from(["mark", "last"])),
    )
    if odd:
        changed = draw(st.sampled_from(CHANGES))
        request = msgspec.structs.replace(request, **changed)
    return at, request


def counted(orders: Any, request: OrderRequest, prices: list[Decimal], whole: bool) -> list[int]:
    """Count prices, then the quantity unless the `whole` position is meant."""
    try:
        counts = [orders.price.count(price) for price in prices]
    except ValueError as error:
        raise VenueRejected(rejects.OFF_TICK, f"{request.symbol}: {error}") from None
    try:
        counts.append(0 if whole else orders.quantity.count(request.quantity))
    except ValueError as error:
        raise VenueRejected(rejects.OFF_STEP, f"{request.symbol}: {error}") from None
    return counts


def bybit_frame(orders: BybitOrders, request: OrderRequest) -> bytes:
    kind = request.kind
    if request.close_position or kind not in ("limit", "market"):
        raise VenueRejected(UNSUPPORTED, f"{kind} orders are not sent over this connection")
    none = Decimal(0)
    prices = [request.stop or none, request.target or none]
    prices.append(request.price if kind == "limit" else none)
    stop, target, ticks, steps = counted(orders, request, prices, False)
    head = (*STAMP, request.client_id, request.side, steps)
    rest = (request.reduce_only, stop, target, request.protect_by == "mark")
    if kind == "market":
        return orders.market(*head, *rest)
    return orders.limit(*head, ticks, TIFS[request.tif], *rest)


def binance_frame(orders: BinanceOrders, request: OrderRequest) -> bytes:
    kind, whole = request.kind, request.close_position
    if whole and kind not in CONDITIONAL:
        raise VenueRejected(UNSUPPORTED, f"{kind} orders cannot ask to close the position")
    if request.stop or request.target:
        if request.reduce_only:
            raise VenueRejected(rejects.PROTECTION_ON_REDUCE_ONLY, request.client_id)
        if len(request.client_id) > 35:
            text = f"{request.client_id}: no room for the suffix of its stop and target"
            raise VenueRejected(rejects.BAD_CLIENT_ID, text)
    price = request.trigger if kind in CONDITIONAL else request.price
    prices = [Decimal(0) if kind == "market" else price, request.stop, request.target]
    ticks, _, _, steps = counted(orders, request, prices, whole)
    head = (*STAMP, request.client_id, request.side)
    if kind == "limit":
        return orders.limit(*head, steps, ticks, TIFS[request.tif], request.reduce_only)
    if kind == "market":
        return orders.market(*head, steps, request.reduce_only)
    if not steps and not whole:
        raise VenueRejected(rejects.OFF_STEP, f"{request.symbol}: a quantity of 0")
    by_mark = request.trigger_by == "mark"
    return orders.conditional(*head, kind == "take_profit_market", ticks, steps, by_mark)


def is_plain(request: OrderRequest) -> bool:
    """Tell whether every field is of the type and among the choices that a request declares."""
    decimals = (request.quantity, request.price, request.trigger, request.stop, request.target)
    return (
        all(type(number) is Decimal for number in decimals)
        and not any(number.is_signed() for number in decimals)
        and type(request.side) is int
        and request.side in (1, -1)
        and type(request.reduce_only) is bool
        and type(request.client_id) is str
        and request.tif in TIFS
        and request.kind in ("limit", "market", *CONDITIONAL)
        and {request.protect_by, request.trigger_by} <= {"mark", "last"}
    )


def outcome(frame: Callable[[], bytes | None]) -> bytes | Exception | None:
    """Return a frame, or why there is none."""
    try:
        return frame()
    except (ValueError, VenueRejected, TypeError, OverflowError, KeyError) as error:
        return error


def check_template(orders: Any, request: OrderRequest, reference: Reference) -> None:
    """A plain order is framed; whatever is not framed is what the long way refuses or doubts."""
    want = outcome(lambda: reference(orders, request))
    got = outcome(lambda: orders.of_request(request, *STAMP))
    if isinstance(want, bytes):
        assert got == want or (got is None and not is_plain(request))
    elif got is not None:
        assert isinstance(got, ValueError)
        assert (type(got), str(got)) == (type(want), str(want))


@given(requests())
@example((0, entry_request(stop=Decimal("-0"))))
@example((0, entry_request(reduce_only=True)))
@example((0, entry_request(reduce_only=True, target=Decimal(0))))
def test_bybit_in_one_call_is_bybit_step_by_step(asked: tuple[int, OrderRequest]) -> None:
    check_template(BYBIT[asked[0]], asked[1], bybit_frame)


@given(requests())
@example((0, entry_request(stop=Decimal("-0"))))
@example((0, entry_request(client_id="a" * 36)))
@example((0, entry_request(client_id="a" * 36, stop=Decimal(0))))
@example((0, entry_request(client_id="a" * 36, stop=Decimal(0), target=Decimal(0))))
@example((0, entry_request(client_id="a" * 35)))
def test_binance_in_one_call_is_binance_step_by_step(asked: tuple[int, OrderRequest]) -> None:
    check_template(BINANCE[asked[0]], asked[1], binance_frame)


@pytest.fixture(scope="module", params=["bybit", "binance"])
def desk(request: pytest.FixtureRequest) -> Any:
    made = Desk(request.param)
    made.entry.opened(made.link)
    if request.param == "bybit":
        made.hear(op="auth", retCode=0)
    yield made
    made.loop.close()


@given(asked=requests(), symbol=st.sampled_from(["BTCUSDT"] * 9 + ["NOUSDT"]))
def test_an_order_leaves_or_is_refused_as_step_by_step(
    desk: Desk, asked: tuple[int, OrderRequest], symbol: str
) -> None:
    request = msgspec.structs.replace(asked[1], symbol=symbol)
    desk.entry._waiting.clear()
    desk.link.sent.clear()
    orders: Any = desk.entry._templates["BTCUSDT"]
    reference: Reference = bybit_frame if isinstance(orders, BybitOrders) else binance_frame
    want = outcome(lambda: reference(orders, request))
    if symbol != "BTCUSDT":
        want = VenueRejected(rejects.UNKNOWN_SYMBOL, symbol)
    elif isinstance(want, ValueError):
        want = VenueRejected(BAD_ORDER, f"{symbol}: {want}")
    if isinstance(want, bytes):
        desk.entry.place(request)
        assert unstamped(desk.link.sent[0]) == unstamped(want)
        return
    if isinstance(want, VenueRejected):
        refused = desk.entry.place(request).exception()
        assert isinstance(refused, VenueRejected)
        assert (refused.reason, refused.detail) == (want.reason, want.detail)
    else:
        assert isinstance(want, Exception)
        with pytest.raises(type(want)):
            desk.entry.place(request)
    assert desk.link.sent == []
    assert desk.entry.in_flight == 0


def unstamped(frame: bytes) -> Any:
    """A frame without its number, its time and its signature."""
    read = msgspec.json.decode(frame)
    for stamp in ("id", "reqId", "header"):
        read.pop(stamp, None)
    for stamp in ("timestamp", "signature"):
        read.get("params", {}).pop(stamp, None)
    return read


FIELDS = {name: getattr(entry_request(), name) for name in OrderRequest.__struct_fields__}


class Slotted:
    __slots__ = tuple(FIELDS)

    def __init__(self, fields: dict[str, Any]) -> None:
        for name, held in fields.items():
            setattr(self, name, held)


class Borrowing:
    """Keeps what a request keeps where it does, under other names; borrows its descriptors."""

    __slots__ = tuple(f"x_{name}" for name in FIELDS)
    locals().update({name: vars(OrderRequest)[name] for name in FIELDS})

    def __init__(self) -> None:
        for name, held in FIELDS.items():
            setattr(self, f"x_{name}", held)


class Derived(OrderRequest, frozen=True, gc=False, tag=True):
    more: int = 0


@pytest.mark.parametrize("orders", [BYBIT[0], BINANCE[0]], ids=["bybit", "binance"])
def test_only_what_keeps_its_fields_as_a_request_does_is_read(orders: Any) -> None:
    want = orders.of_request(entry_request(), *STAMP)
    assert want is not None
    lacking = Slotted({name: held for name, held in FIELDS.items() if name != "target"})
    other: object
    for other in (SimpleNamespace(**FIELDS), Borrowing(), lacking, None, 5, "text", OrderRequest):
        assert orders.of_request(other, *STAMP) is None
        assert orders.of_request(entry_request(), *STAMP) == want
    for other in (Slotted(FIELDS), Derived(**FIELDS)):
        assert orders.of_request(other, *STAMP) == want
        assert orders.of_request(entry_request(side=-1), *STAMP) != want
