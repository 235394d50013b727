"""What the Bitget dialect finds again when the venue is started anew on its state file."""

from decimal import Decimal

from hfengine.localvenue.faults import Rule
from tests.bitget_venue import COMMON, ORDER, POSITION, PRODUCT, on_still_venue


async def plans(venue):
    found = await venue.get(f"{ORDER}orders-plan-pending", **PRODUCT, planType="profit_loss")
    return found["entrustedList"] or []


def test_ids_and_protection_outlive_a_restart(tmp_path):
    state = tmp_path / "venue.state"
    kept = {}

    async def before(venue):
        await venue.hedged()
        stop = str(round(venue.price() * Decimal("0.99")))
        kept["entry"] = await venue.order("buy", clientOid="e", presetStopLossPrice=stop)
        (kept["plan"],) = await plans(venue)
        kept["position"] = await venue.get(f"{POSITION}all-position", **PRODUCT)
        venue.world.settle()

    async def after(venue):
        found = await venue.get(f"{ORDER}detail", **COMMON, clientOid="e")
        assert found["orderId"] == kept["entry"]["orderId"]
        (plan,) = await plans(venue)
        assert plan == kept["plan"]
        (row,) = await venue.get(f"{POSITION}all-position", **PRODUCT)
        assert row["deductedFee"] == kept["position"][0]["deductedFee"]

    on_still_venue(before, state=state)
    on_still_venue(after, state=state)


def test_names_of_position_plans_and_halved_orders_outlive_a_restart(tmp_path):
    state = tmp_path / "venue.state"

    async def before(venue):
        await venue.hedged()
        venue.world.faults.add(Rule(kind="partial_fill"))
        await venue.order("buy", clientOid="halved")
        await venue.post(
            f"{ORDER}place-tpsl-order",
            **COMMON,
            holdSide="long",
            planType="pos_loss",
            triggerPrice=str(round(venue.price() * Decimal("0.98"))),
            triggerType="mark_price",
            clientOid="guard",
        )
        venue.world.settle()

    async def after(venue):
        (plan,) = await plans(venue)
        assert plan["clientOid"] == "guard"
        row = await venue.get(f"{ORDER}detail", **COMMON, clientOid="halved")
        assert (row["size"], row["baseVolume"], row["state"]) == ("0.01", "0.005", "canceled")

    on_still_venue(before, state=state)
    on_still_venue(after, state=state)
