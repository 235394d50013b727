"""Binance USDⓈ-M signed frames for /ws-fapi/v1 from a per-symbol template."""

from hfengine.kernels.order_line import OrderFrames
from hfengine.kernels.signing import HmacSha256

class BinanceOrders(OrderFrames):
    """Build the signed order frames of one symbol in one-way mode.

    Side is 1 (buy) or -1 (sell); prices are ticks, quantities steps, both whole. `tif` is 0 GTC,
    1 IOC, 2 FOK, 3 post only (GTX). Client ids are 1 to 36 letters, digits, '-' or '_'. Whatever
    breaks a rule raises ValueError, and no frame is made.
    """

    def __init__(
        self,
        symbol: str,
        tick: str,
        step: str,
        api_key: str,
        signer: HmacSha256,
        recv_window_ms: int = 5000,
    ) -> None:
        """Prepare the constant text; raises ValueError for a bad symbol, grid, key or window."""

    def limit(
        self,
        request_id: int,
        now_ms: int,
        client_id: str,
        side: int,
        steps: int,
        ticks: int,
        tif: int = 0,
        reduce_only: bool = False,
    ) -> bytes:
        """Return the `order.place` frame of a limit order."""

    def market(
        self,
        request_id: int,
        now_ms: int,
        client_id: str,
        side: int,
        steps: int,
        reduce_only: bool = False,
    ) -> bytes:
        """Return the `order.place` frame of a market order."""

    def conditional(
        self,
        request_id: int,
        now_ms: int,
        client_id: str,
        side: int,
        target: bool,
        trigger_ticks: int,
        steps: int = 0,
        by_mark: bool = True,
    ) -> bytes:
        """Return the `algoOrder.place` frame of a stop or (`target`) take-profit at market.

        0 steps close the whole position; other quantities are reduce-only. Good till cancelled:
        it does not go with the position.
        """

    def cancel_conditional(self, request_id: int, now_ms: int, client_id: str) -> bytes:
        """Return the `algoOrder.cancel` frame for a conditional order's client id."""
