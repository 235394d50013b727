"""Bybit V5 `order.create` frames for /v5/trade from a per-symbol template."""

from hfengine.kernels.order_line import OrderFrames

class BybitOrders(OrderFrames):
    """Build the order frames of one linear symbol in one-way mode.

    Side is 1 (buy) or -1 (sell); prices are ticks, quantities steps, both whole. `tif` is 0 GTC,
    1 IOC, 2 FOK, 3 post only. Client ids are 1 to 36 letters, digits, '-' or '_'. Whatever breaks
    a rule raises ValueError, and no frame is made.
    """

    def __init__(self, symbol: str, tick: str, step: str, recv_window_ms: int = 5000) -> None:
        """Prepare the constant text; raises ValueError for a bad symbol, grid or window."""

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
        stop_ticks: int = 0,
        target_ticks: int = 0,
        by_mark: bool = True,
    ) -> bytes:
        """Return the frame of a limit order.

        Stop and target (0 is none) attach to the whole position, triggered by mark or last price;
        ValueError when the order is reduce-only, which the venue does not allow.
        """

    def market(
        self,
        request_id: int,
        now_ms: int,
        client_id: str,
        side: int,
        steps: int,
        reduce_only: bool = False,
        stop_ticks: int = 0,
        target_ticks: int = 0,
        by_mark: bool = True,
    ) -> bytes:
        """Return the frame of a market order; stop and target as for `limit`."""
