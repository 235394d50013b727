"""What an API key may do, as its exchange tells it; withdrawal must be off."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hfengine.doctor.finding import Finding, fail, ok, warn

WITHDRAWAL_OFF: Final = "make a key without it: whoever steals this one empties the account"
LOOK_YOURSELF: Final = "look at the exchange's API page: withdrawal must be off"
EVERY_ADDRESS: Final = ("*", "")


def of_bybit(told: Mapping[str, Any]) -> list[Finding]:
    """Judge `/v5/user/query-api`: its result."""
    permissions: Mapping[str, Sequence[str]] = told.get("permissions") or {}
    wallet = permissions.get("Wallet") or ()
    may_trade = "Order" in (permissions.get("ContractTrade") or ())
    may_hold = "Position" in (permissions.get("ContractTrade") or ())
    found = [_withdrawal("Withdraw" in wallet, f"Wallet: {', '.join(wallet) or 'nothing'}")]
    if int(told.get("readOnly") or 0) or not (may_trade and may_hold):
        advice = "give it contract orders and positions, read and write"
        found.append(fail("trading right", "the key cannot trade contracts", advice))
    else:
        found.append(ok("trading right", "contract orders and positions"))
    found.append(_addresses(told.get("ips") or ()))
    return found


def of_binance(told: Mapping[str, Any]) -> list[Finding]:
    """Judge `sapi/v1/account/apiRestrictions`."""
    withdraws = told.get("enableWithdrawals")
    if withdraws is None:
        return [not_told("the answer does not say whether it may withdraw")]
    found = [_withdrawal(bool(withdraws), f"enableWithdrawals {bool(withdraws)}".lower())]
    if told.get("enableFutures"):
        found.append(ok("trading right", "futures"))
    else:
        advice = "switch on Enable Futures at API Management"
        found.append(fail("trading right", "the key may not trade futures", advice))
    restricted = bool(told.get("ipRestrict"))
    found.append(_addresses(["restricted"] if restricted else ["*"]))
    return found


def _withdrawal(may: bool, found: str) -> Finding:
    if may:
        return fail("withdrawal", f"the key MAY WITHDRAW ({found})", WITHDRAWAL_OFF)
    return ok("withdrawal", f"off ({found})")


def _addresses(addresses: Sequence[str]) -> Finding:
    if not addresses or any(one in EVERY_ADDRESS for one in addresses):
        advice = "bind it to this machine's address at the exchange"
        return warn("key's addresses", "the key works from anywhere", advice)
    return ok("key's addresses", "restricted")


def not_told(why: str) -> Finding:
    """Return what stands for permissions that could not be read."""
    return warn("withdrawal", f"not told: {why}", LOOK_YOURSELF)
