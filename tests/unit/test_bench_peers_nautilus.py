"""nautilus_trader's side of a ratio: on a fake of its parts, and on itself where it is installed.

The fake's parts move a clock of their own, so what is timed and what is not can be told apart.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from hfengine.bench.peers import compare, nautilus
from hfengine.bench.peers.compare import Effort
from hfengine.bench.peers.nautilus import NautilusDesk, NautilusUnfit, installed, nautilus_note
from hfengine.bench.rounds import PeerReport, Quantiles

CREATE_NS, RISK_NS, EXECUTION_NS = 1_000, 2_000, 3_000
UNTIMED_NS = 500_000
EFFORT = Effort(rounds=2, frames=40, sockets=False)


class Fake:
    """Parts named as nautilus_trader's; `deny_from` is the first order that risk keeps back."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.way: list[str] = []
        self.open: set[object] = set()
        self.deny_from = sys.maxsize
        self.seen = 0
        self.price_off = ""
        self.client: object = None

    def spend(self, took_ns: int, where: str) -> None:
        self.now_ns += took_ns
        self.way.append(where)


class FakeClient:
    """The base its execution clients have."""

    fake: Fake

    def __init__(self, **given: object) -> None:
        self.given = given
        self.fake.client = self

    def _set_account_id(self, name: str) -> None:
        self.given["account_id"] = name

    def generate_account_state(self, **state: object) -> None:
        self.given["account"] = state

    def generate_order_submitted(self, _strategy: str, _instrument: str, name: str, _: int) -> None:
        self.fake.open.add(name)
        self.fake.spend(UNTIMED_NS, "end")

    def generate_order_rejected(
        self, _strategy: str, _instrument: str, name: str, _why: str, _: int
    ) -> None:
        self.fake.open.remove(name)


def keyed(**given: object) -> SimpleNamespace:
    return SimpleNamespace(**given)


def strategy_class(fake: Fake) -> type:
    class Strategy:
        def __init__(self, settings: object) -> None:
            self.order_factory = SimpleNamespace(limit=self.limit, bracket=self.bracket)

        def register(self, **given: object) -> None:
            assert set(given) == {"trader_id", "portfolio", "msgbus", "cache", "clock"}

        def order(self, given: dict[str, object]) -> SimpleNamespace:
            fake.seen += 1
            return SimpleNamespace(
                strategy_id="S",
                client_order_id=f"O-{fake.seen}",
                side=given["order_side"],
                trigger_price=None,
                **{name: it for name, it in given.items() if name != "order_side"},
            )

        def limit(self, **given: object) -> SimpleNamespace:
            fake.spend(CREATE_NS, "create")
            order = self.order(given)
            order.price += fake.price_off
            return order

        def bracket(self, **given: object) -> SimpleNamespace:
            fake.spend(CREATE_NS, "create")
            shared = {name: given[name] for name in ("instrument_id", "order_side", "quantity")}
            entry, stop, target = (self.order(shared) for _ in range(3))
            entry.price, entry.time_in_force = given["entry_price"], given["time_in_force"]
            stop.trigger_price, target.price = given["sl_trigger_price"], given["tp_price"]
            return SimpleNamespace(orders=[entry, stop, target])

        def pass_on(self, hand_over, command: SimpleNamespace) -> None:
            fake.spend(RISK_NS, "risk")
            if fake.seen >= fake.deny_from:
                return
            fake.spend(EXECUTION_NS, "execution")
            hand_over(command)
            fake.now_ns += UNTIMED_NS

        def submit_order(self, order: object, params: dict[str, str]) -> None:
            command = SimpleNamespace(order=order, params=dict(params))
            self.pass_on(fake.client.submit_order, command)

        def submit_order_list(self, orders: object) -> None:
            self.pass_on(fake.client.submit_order_list, SimpleNamespace(order_list=orders))

    return Strategy


def parts(fake: Fake) -> dict[str, dict[str, object]]:
    as_text = SimpleNamespace(from_str=str)
    keep = SimpleNamespace(
        add_instrument=lambda made: None, register_client=lambda client: fake.way.append("client")
    )
    return {
        "model.identifiers": {
            name: lambda *given: ".".join(given)
            for name in ("TraderId", "ClientId", "Venue", "Symbol", "AccountId", "InstrumentId")
        },
        "common.component": {"LiveClock": keyed, "MessageBus": keyed},
        "cache.cache": {"Cache": lambda: keep},
        "portfolio.portfolio": {"Portfolio": keyed},
        "execution.engine": {"ExecutionEngine": lambda **given: keep},
        "execution.client": {"ExecutionClient": type("Base", (FakeClient,), {"fake": fake})},
        "risk.config": {"RiskEngineConfig": keyed},
        "risk.engine": {"RiskEngine": keyed},
        "model.currencies": {"USDT": "USDT", "BTC": "BTC"},
        "model.objects": {
            "Money": lambda units, currency: (units, currency),
            "AccountBalance": lambda whole, locked, free: (whole, locked, free),
            "Quantity": as_text,
            "Price": as_text,
        },
        "model.instruments": {"CryptoPerpetual": lambda **given: keyed(id=given["instrument_id"])},
        "model.enums": {
            "OrderSide": keyed(BUY="buy"),
            "OrderType": keyed(LIMIT="limit"),
            "TimeInForce": keyed(IOC="ioc"),
            "OmsType": keyed(NETTING="netting"),
            "AccountType": keyed(MARGIN="margin"),
        },
        "trading.config": {"StrategyConfig": keyed},
        "trading.strategy": {"Strategy": strategy_class(fake)},
    }


@pytest.fixture
def fake(monkeypatch):
    made = Fake()
    for path, names in parts(made).items():
        module = ModuleType(f"nautilus_trader.{path}")
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(nautilus, "mono_ns", lambda: made.now_ns)
    return made


def empty_report():
    return PeerReport(
        rounds=2, enough_rounds=False, ratios={}, quantiles_ns={}, rates_per_s={}, notes=[]
    )


@pytest.mark.parametrize("bracket", [False, True])
def test_the_time_is_from_making_an_order_until_the_client_holds_it(fake, bracket):
    took = NautilusDesk(bracket=bracket).hot(30)
    expected = CREATE_NS + RISK_NS + EXECUTION_NS
    assert took.count == 30
    assert took.p50 == pytest.approx(expected, rel=0.01)
    assert took.max == expected
    ended = ["end"] * (3 if bracket else 1)
    assert fake.way[-3 - len(ended) :] == ["create", "risk", "execution", *ended]


@pytest.mark.parametrize("bracket", [False, True])
def test_every_order_is_ended_before_the_next(fake, bracket):
    desk = NautilusDesk(bracket=bracket)
    desk.hot(5)
    assert not fake.open
    assert fake.way.count("end") == fake.seen == (3 if bracket else 1) * (1 + nautilus.WARM_UP + 5)


def test_the_order_is_the_one_the_other_peers_make(fake):
    desk = NautilusDesk()
    command = fake.client.last
    order = command.order
    assert (order.side, order.quantity, order.price) == ("buy", "0.010", "67412.4")
    assert order.time_in_force == "ioc"
    assert command.params == {"stop_loss": "67100.1", "take_profit": "67900.1"}
    assert fake.client.given["account_type"] == "margin"
    assert desk.hot(1).count == 1


@pytest.mark.parametrize("first", [1, 2, nautilus.WARM_UP + 5])
def test_an_order_that_risk_keeps_back_is_found(fake, first):
    fake.deny_from = first
    with pytest.raises(NautilusUnfit, match="did not arrive"):
        NautilusDesk().hot(10)


def test_another_order_than_asked_for_is_found(fake):
    fake.price_off = "9"
    with pytest.raises(NautilusUnfit, match=r"another order arrived: .*67412\.49"):
        NautilusDesk()


@pytest.mark.parametrize("lost", ["risk.engine", "trading.strategy"])
def test_a_version_without_a_part_is_named(fake, monkeypatch, lost):
    monkeypatch.setitem(sys.modules, f"nautilus_trader.{lost}", ModuleType("emptied"))
    with pytest.raises(NautilusUnfit, match=r"AttributeError: .* 'emptied'"):
        NautilusDesk()


def test_both_ratios_stand_in_the_report(fake, monkeypatch):
    begun = []
    took = Quantiles(p50=6_000, p99=6_000, p999=6_000, max=6_000, count=40)

    class Engine:
        def __init__(self, count: int) -> None:
            begun.append(count)

        def hot(self, count: int) -> Quantiles:
            begun.append(count)
            return Quantiles(p50=2_000, p99=2_000, p999=2_000, max=2_000, count=count)

    monkeypatch.setattr("hfengine.bench.tick_to_order.TickToOrder", Engine)
    report = empty_report()
    compare._nautilus(report, EFFORT)
    assert set(report.ratios) == {
        "tick_to_order_vs_nautilus_submit",
        "tick_to_order_vs_nautilus_submit_bracket",
    }
    for ratio in report.ratios.values():
        assert ratio.median == pytest.approx(took.p50 / 2_000, rel=0.01)
    assert set(report.quantiles_ns) == {
        "engine_beside_nautilus",
        "nautilus_submit",
        "nautilus_submit_bracket",
    }
    assert begun == [80, 40, 40, 40, 40]
    assert report.notes == []


def test_what_does_not_fit_is_a_note_and_no_ratio(fake):
    fake.price_off = "9"
    report = empty_report()
    compare._nautilus(report, EFFORT)
    assert set(report.ratios) == {"tick_to_order_vs_nautilus_submit_bracket"}
    [note] = report.notes
    assert note.startswith("nautilus_trader: nautilus_submit not compared: another order arrived")


@pytest.mark.parametrize("here", [False, True])
def test_it_is_compared_where_it_is_installed(monkeypatch, here):
    asked = []
    for name in ("decode_ratios", "hop_ratios"):
        monkeypatch.setattr(compare, name, lambda *given: {})
    monkeypatch.setattr(compare, "layers_ratio", lambda *given: None)
    monkeypatch.setattr(compare, "_tick_to_order", lambda *given: None)
    monkeypatch.setattr(compare, "_nautilus", lambda *given: asked.append(given))
    monkeypatch.setattr(compare, "nautilus_note", lambda: "the note")
    monkeypatch.setattr(compare, "installed", lambda: here)
    paper = keyed(settings=keyed(seed=1))
    report = compare.compare(paper, EFFORT, lambda begun: None)
    assert asked == ([(report, EFFORT)] if here else [])
    assert report.notes == ["the note"]


def test_it_is_named_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(nautilus, "find_spec", lambda name: None)
    assert not installed()
    assert "not installed (its wheels need Python 3.12 or newer)" in nautilus_note()


def test_it_is_named_with_its_version_and_not_imported_for_that(monkeypatch, tmp_path):
    package = tmp_path / "nautilus_trader"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "nautilus_trader-9.8.7.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: nautilus_trader\nVersion: 9.8.7\n"
    (tmp_path / "nautilus_trader-9.8.7.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.delitem(sys.modules, "nautilus_trader", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert installed()
    assert nautilus_note() == "nautilus_trader 9.8.7: from making an order to its execution client"


@pytest.mark.skipif(not installed(), reason="nautilus_trader is not installed")
@pytest.mark.parametrize("bracket", [False, True])
def test_the_real_one_submits_every_order_and_leaves_none_open(bracket):
    desk = NautilusDesk(bracket=bracket)
    took = desk.hot(20)
    assert took.count == 20
    assert took.p50 > 0
    cache = desk._strategy.cache
    made = (3 if bracket else 1) * (1 + nautilus.WARM_UP + 20)
    assert cache.orders_total_count() == cache.orders_closed_count() == made
    assert cache.account_for_venue(desk._instrument.id.venue).is_margin_account
