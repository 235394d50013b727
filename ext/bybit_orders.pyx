# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Bybit V5 `order.create` frames for /v5/trade from a per-symbol template.

What does not change from order to order is text prepared and checked once; the rest is digits,
flags and a client id of a harmless alphabet, so nothing is ever escaped while an order waits.
The connection is authenticated, not the order: there is nothing to sign.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from hfengine.kernels.grid cimport Grid
from hfengine.kernels.order_line cimport MARKET, Asked, OrderFrames
from hfengine.kernels.order_text cimport (
    FRAME_BYTES,
    Place,
    SYMBOL_BYTES_MAX,
    check_side,
    check_stamp,
    check_tif,
    check_window,
    harmless,
    put,
    put_bytes,
    put_digits,
    put_span,
    read_id,
)

cdef const char* TIF[4]
TIF[:] = ["GTC", "IOC", "FOK", "PostOnly"]


@cython.final
@cython.auto_pickle(False)
cdef class BybitOrders(OrderFrames):
    cdef bytes _window  # after the time stamp, up to the side
    cdef unsigned char _frame[FRAME_BYTES]

    def __cinit__(self, str symbol, str tick, str step, int recv_window_ms=5000):
        check_window(recv_window_ms)
        self._price = Grid(tick)
        self._quantity = Grid(step)
        self._window = (
            b'","X-BAPI-RECV-WINDOW":"%d"},"args":[{"category":"linear","symbol":"%s","side":"'
            % (recv_window_ms, harmless(symbol, SYMBOL_BYTES_MAX, "symbol"))
        )

    cdef Place _open(self, int64_t request_id, int64_t now_ms, int side) noexcept:
        cdef Place place = put(self._frame, '{"op":"order.create","reqId":"')
        place = put_digits(place, request_id)
        place = put(place, '","header":{"X-BAPI-TIMESTAMP":"')
        place = put_digits(place, now_ms)
        place = put_bytes(place, self._window)
        return put(place, "Buy" if side > 0 else "Sell")

    cdef bytes _close(
        self,
        Place place,
        const char* client_id,
        Py_ssize_t id_size,
        bint reduce_only,
        int64_t stop_ticks,
        int64_t target_ticks,
        bint by_mark,
    ):
        place = put(place, '","orderLinkId":"')
        place = put_span(place, client_id, id_size)
        place = put(place, '","reduceOnly":true' if reduce_only else '","reduceOnly":false')
        place = put(place, ',"positionIdx":0')
        if target_ticks:
            place = put(place, ',"takeProfit":"')
            place = self._price.put(place, target_ticks)
            place = put(place, '","tpTriggerBy":"')
            place = put(place, 'MarkPrice"' if by_mark else 'LastPrice"')
        if stop_ticks:
            place = put(place, ',"stopLoss":"')
            place = self._price.put(place, stop_ticks)
            place = put(place, '","slTriggerBy":"')
            place = put(place, 'MarkPrice"' if by_mark else 'LastPrice"')
        if stop_ticks or target_ticks:
            place = put(place, ',"tpslMode":"Full"')
        place = put(place, "}]}")
        return PyBytes_FromStringAndSize(<const char*>self._frame, place - self._frame)

    cdef int _check(self, int64_t steps, bint reduce_only, int64_t stop, int64_t target) except -1:
        self._quantity.check(steps, 1)
        self._price.check(stop, 0)
        self._price.check(target, 0)
        if reduce_only and (stop or target):
            raise ValueError("stop and target cannot be attached to a reduce-only order")
        return 0

    cdef bytes _limit(
        self,
        int64_t request_id,
        int64_t now_ms,
        object client_id,
        int side,
        int64_t steps,
        int64_t ticks,
        int tif,
        bint reduce_only,
        int64_t stop_ticks,
        int64_t target_ticks,
        bint by_mark,
    ):
        cdef const char* id_text = NULL
        cdef Py_ssize_t id_size = 0
        cdef Place place
        check_side(side)
        check_stamp(request_id, now_ms)
        self._check(steps, reduce_only, stop_ticks, target_ticks)
        self._price.check(ticks, 1)
        check_tif(tif)
        read_id(client_id, &id_text, &id_size)
        place = self._open(request_id, now_ms, side)
        place = put(place, '","orderType":"Limit","qty":"')
        place = self._quantity.put(place, steps)
        place = put(place, '","price":"')
        place = self._price.put(place, ticks)
        place = put(place, '","timeInForce":"')
        place = put(place, TIF[tif])
        return self._close(
            place, id_text, id_size, reduce_only, stop_ticks, target_ticks, by_mark
        )

    cdef bytes _market(
        self,
        int64_t request_id,
        int64_t now_ms,
        object client_id,
        int side,
        int64_t steps,
        bint reduce_only,
        int64_t stop_ticks,
        int64_t target_ticks,
        bint by_mark,
    ):
        cdef const char* id_text = NULL
        cdef Py_ssize_t id_size = 0
        cdef Place place
        check_side(side)
        check_stamp(request_id, now_ms)
        self._check(steps, reduce_only, stop_ticks, target_ticks)
        read_id(client_id, &id_text, &id_size)
        place = self._open(request_id, now_ms, side)
        place = put(place, '","orderType":"Market","qty":"')
        place = self._quantity.put(place, steps)
        return self._close(
            place, id_text, id_size, reduce_only, stop_ticks, target_ticks, by_mark
        )

    cdef object frame(self, Asked* asked, int64_t request_id, int64_t now_ms):
        cdef int64_t stop, target, steps
        cdef int64_t ticks = 0
        if asked.close_position or asked.kind > MARKET:
            return None
        stop = self._price.counted(<object>asked.stop)
        target = self._price.counted(<object>asked.target)
        if asked.kind != MARKET:
            ticks = self._price.counted(<object>asked.price)
        steps = self._quantity.counted(<object>asked.quantity)
        if stop < 0 or target < 0 or ticks < 0 or steps < 0:
            return None
        client_id = <object>asked.client_id
        if asked.kind == MARKET:
            return self._market(
                request_id,
                now_ms,
                client_id,
                asked.side,
                steps,
                asked.reduce_only,
                stop,
                target,
                asked.protect_by_mark,
            )
        return self._limit(
            request_id,
            now_ms,
            client_id,
            asked.side,
            steps,
            ticks,
            asked.tif,
            asked.reduce_only,
            stop,
            target,
            asked.protect_by_mark,
        )

    def limit(
        self,
        int64_t request_id,
        int64_t now_ms,
        str client_id not None,
        int side,
        int64_t steps,
        int64_t ticks,
        int tif=0,
        bint reduce_only=False,
        int64_t stop_ticks=0,
        int64_t target_ticks=0,
        bint by_mark=True,
    ) -> bytes:
        """Return the frame of a limit order; stop and target attach to the position."""
        return self._limit(
            request_id, now_ms, client_id, side, steps, ticks, tif, reduce_only,
            stop_ticks, target_ticks, by_mark,
        )  # fmt: skip

    def market(
        self,
        int64_t request_id,
        int64_t now_ms,
        str client_id not None,
        int side,
        int64_t steps,
        bint reduce_only=False,
        int64_t stop_ticks=0,
        int64_t target_ticks=0,
        bint by_mark=True,
    ) -> bytes:
        """Return the frame of a market order; stop and target attach to the position."""
        return self._market(
            request_id, now_ms, client_id, side, steps, reduce_only,
            stop_ticks, target_ticks, by_mark,
        )  # fmt: skip
