# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Binance USDⓈ-M signed frames for /ws-fapi/v1 from a per-symbol template.

`order.place`, `algoOrder.place` and `algoOrder.cancel`, signed over the parameters in alphabetical
order. What does not change is text prepared and checked once; the rest is digits, flags and a
client id of a harmless alphabet, so nothing is ever escaped while an order waits.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from hfengine.kernels.grid cimport Grid
from hfengine.kernels.order_line cimport (
    LIMIT,
    MARKET,
    STOP_MARKET,
    TAKE_PROFIT_MARKET,
    Asked,
    OrderFrames,
)
from hfengine.kernels.order_text cimport (
    FRAME_BYTES,
    ID_BYTES_MAX,
    KEY_BYTES_MAX,
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
from hfengine.kernels.signing cimport HEX_BYTES, HmacSha256

cdef const char* TIF[4]
TIF[:] = ["GTC", "IOC", "FOK", "GTX"]


@cython.final
@cython.auto_pickle(False)
cdef class BinanceOrders(OrderFrames):
    # every parameter goes into the signed query and into the frame; both grow side by side
    cdef HmacSha256 _signer
    cdef bytes _place_query
    cdef bytes _place_frame
    cdef bytes _algo_query
    cdef bytes _algo_frame
    cdef bytes _cancel_query
    cdef bytes _cancel_frame
    cdef bytes _symbol_query
    cdef bytes _symbol_frame
    cdef int _recv_window_ms
    cdef unsigned char _query[FRAME_BYTES]
    cdef unsigned char _frame[FRAME_BYTES]
    cdef Place _query_end
    cdef Place _frame_end

    def __cinit__(
        self,
        str symbol,
        str tick,
        str step,
        str api_key,
        HmacSha256 signer not None,
        int recv_window_ms=5000,
    ):
        check_window(recv_window_ms)
        self._recv_window_ms = recv_window_ms
        self._price = Grid(tick)
        self._quantity = Grid(step)
        self._signer = signer
        key = harmless(api_key, KEY_BYTES_MAX, "API key")
        name = harmless(symbol, SYMBOL_BYTES_MAX, "symbol")
        head = b'","method":"%s","params":{%s"apiKey":"%s","%s":"'
        algo = b'"algoType":"CONDITIONAL",'
        self._place_query = b"apiKey=%s&newClientOrderId=" % key
        self._place_frame = head % (b"order.place", b"", key, b"newClientOrderId")
        self._algo_query = b"algoType=CONDITIONAL&apiKey=%s&clientAlgoId=" % key
        self._algo_frame = head % (b"algoOrder.place", algo, key, b"clientAlgoId")
        self._cancel_query = b"apiKey=%s&clientAlgoId=" % key
        self._cancel_frame = head % (b"algoOrder.cancel", b"", key, b"clientAlgoId")
        self._symbol_query = b"&symbol=%s" % name
        self._symbol_frame = b'","symbol":"%s"' % name

    cdef inline void _put(self, const char* query, const char* frame) noexcept nogil:
        self._query_end = put(self._query_end, query)
        self._frame_end = put(self._frame_end, frame)

    cdef inline void _put_number(self, int64_t number) noexcept nogil:
        cdef Place start = self._query_end
        self._query_end = put_digits(start, number)
        self._frame_end = put_span(self._frame_end, <const char*>start, self._query_end - start)

    cdef inline void _put_decimal(self, Grid grid, int64_t count) noexcept nogil:
        cdef Place start = self._query_end
        self._query_end = grid.put(start, count)
        self._frame_end = put_span(self._frame_end, <const char*>start, self._query_end - start)

    cdef int _open(self, int64_t request_id, object client_id, bytes query, bytes frame) except -1:
        """Write everything up to and with the client id."""
        cdef const char* id_text = NULL
        cdef Py_ssize_t id_size = 0
        read_id(client_id, &id_text, &id_size)
        self._query_end = put_bytes(self._query, query)
        self._frame_end = put(self._frame, '{"id":"')
        self._frame_end = put_digits(self._frame_end, request_id)
        self._frame_end = put_bytes(self._frame_end, frame)
        self._query_end = put_span(self._query_end, id_text, id_size)
        self._frame_end = put_span(self._frame_end, id_text, id_size)
        return 0

    cdef void _put_middle(self, int side, bint reduce_only) noexcept:
        """Write recvWindow, reduceOnly, side and symbol, whose order is the alphabet's."""
        self._put("&recvWindow=", '","recvWindow":')
        self._put_number(self._recv_window_ms)
        if reduce_only:
            self._put("&reduceOnly=true", ',"reduceOnly":"true"')
        if side > 0:
            self._put("&side=BUY", ',"side":"BUY')
        else:
            self._put("&side=SELL", ',"side":"SELL')
        self._query_end = put_bytes(self._query_end, self._symbol_query)
        self._frame_end = put_bytes(self._frame_end, self._symbol_frame)

    cdef void _put_time(self, int64_t now_ms) noexcept nogil:
        self._put("&timestamp=", ',"timestamp":')
        self._put_number(now_ms)

    cdef bytes _sign(self):
        cdef Place place = put(self._frame_end, ',"signature":"')
        self._signer.sign_into(self._query, self._query_end - self._query, place)
        place = put(place + HEX_BYTES, '"}}')
        return PyBytes_FromStringAndSize(<const char*>self._frame, place - self._frame)

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
    ):
        check_side(side)
        check_stamp(request_id, now_ms)
        self._quantity.check(steps, 1)
        self._price.check(ticks, 1)
        check_tif(tif)
        self._open(request_id, client_id, self._place_query, self._place_frame)
        self._put("&newOrderRespType=RESULT&price=", '","newOrderRespType":"RESULT","price":"')
        self._put_decimal(self._price, ticks)
        self._put("&quantity=", '","quantity":"')
        self._put_decimal(self._quantity, steps)
        self._put_middle(side, reduce_only)
        self._put("&timeInForce=", ',"timeInForce":"')
        self._put(TIF[tif], TIF[tif])
        self._put("", '"')
        self._put_time(now_ms)
        self._put("&type=LIMIT", ',"type":"LIMIT"')
        return self._sign()

    cdef bytes _market(
        self,
        int64_t request_id,
        int64_t now_ms,
        object client_id,
        int side,
        int64_t steps,
        bint reduce_only,
    ):
        check_side(side)
        check_stamp(request_id, now_ms)
        self._quantity.check(steps, 1)
        self._open(request_id, client_id, self._place_query, self._place_frame)
        self._put(
            "&newOrderRespType=RESULT&quantity=", '","newOrderRespType":"RESULT","quantity":"'
        )
        self._put_decimal(self._quantity, steps)
        self._put_middle(side, reduce_only)
        self._put_time(now_ms)
        self._put("&type=MARKET", ',"type":"MARKET"')
        return self._sign()

    cdef bytes _conditional(
        self,
        int64_t request_id,
        int64_t now_ms,
        object client_id,
        int side,
        bint target,
        int64_t trigger_ticks,
        int64_t steps,
        bint by_mark,
    ):
        check_side(side)
        check_stamp(request_id, now_ms)
        self._quantity.check(steps, 0)
        self._price.check(trigger_ticks, 1)
        self._open(request_id, client_id, self._algo_query, self._algo_frame)
        if steps:
            self._put("&quantity=", '","quantity":"')
            self._put_decimal(self._quantity, steps)
        else:
            self._put("&closePosition=true", '","closePosition":"true')
        self._put_middle(side, steps > 0)
        self._put("&timeInForce=GTC", ',"timeInForce":"GTC"')
        self._put_time(now_ms)
        self._put("&triggerPrice=", ',"triggerPrice":"')
        self._put_decimal(self._price, trigger_ticks)
        if target:
            self._put("&type=TAKE_PROFIT_MARKET", '","type":"TAKE_PROFIT_MARKET"')
        else:
            self._put("&type=STOP_MARKET", '","type":"STOP_MARKET"')
        if by_mark:
            self._put("&workingType=MARK_PRICE", ',"workingType":"MARK_PRICE"')
        else:
            self._put("&workingType=CONTRACT_PRICE", ',"workingType":"CONTRACT_PRICE"')
        return self._sign()

    def cancel_conditional(
        self, int64_t request_id, int64_t now_ms, str client_id not None
    ) -> bytes:
        """Return the signed frame that cancels a stop or take-profit by its client id."""
        check_stamp(request_id, now_ms)
        self._open(request_id, client_id, self._cancel_query, self._cancel_frame)
        self._put("&recvWindow=", '","recvWindow":')
        self._put_number(self._recv_window_ms)
        self._put_time(now_ms)
        return self._sign()

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
    ) -> bytes:
        """Return the signed frame of a limit order."""
        return self._limit(
            request_id, now_ms, client_id, side, steps, ticks, tif, reduce_only
        )

    def market(
        self,
        int64_t request_id,
        int64_t now_ms,
        str client_id not None,
        int side,
        int64_t steps,
        bint reduce_only=False,
    ) -> bytes:
        """Return the signed frame of a market order."""
        return self._market(
            request_id, now_ms, client_id, side, steps, reduce_only
        )

    def conditional(
        self,
        int64_t request_id,
        int64_t now_ms,
        str client_id not None,
        int side,
        bint target,
        int64_t trigger_ticks,
        int64_t steps=0,
        bint by_mark=True,
    ) -> bytes:
        """Return the signed frame of a stop or take-profit; 0 steps close the whole position."""
        return self._conditional(
            request_id, now_ms, client_id, side, target, trigger_ticks, steps, by_mark
        )

    cdef object frame(self, Asked* asked, int64_t request_id, int64_t now_ms):
        cdef int64_t stop = self._price.counted(<object>asked.stop)
        cdef int64_t target = self._price.counted(<object>asked.target)
        cdef int64_t ticks = 0
        cdef int64_t steps = 0
        cdef bint conditional = asked.kind == STOP_MARKET or asked.kind == TAKE_PROFIT_MARKET
        client_id = <str>asked.client_id
        if stop < 0 or target < 0 or (asked.close_position and not conditional):
            return None
        if (stop or target) and (asked.reduce_only or len(client_id) >= ID_BYTES_MAX):
            return None
        if conditional:
            ticks = self._price.counted(<object>asked.trigger)
        elif asked.kind == LIMIT:
            ticks = self._price.counted(<object>asked.price)
        if not asked.close_position:
            steps = self._quantity.counted(<object>asked.quantity)
        if ticks < 0 or steps < 0 or (conditional and not steps and not asked.close_position):
            return None
        if asked.kind == LIMIT:
            return self._limit(
                request_id,
                now_ms,
                client_id,
                asked.side,
                steps,
                ticks,
                asked.tif,
                asked.reduce_only,
            )
        if asked.kind == MARKET:
            return self._market(
                request_id, now_ms, client_id, asked.side, steps, asked.reduce_only
            )
        return self._conditional(
            request_id,
            now_ms,
            client_id,
            asked.side,
            asked.kind == TAKE_PROFIT_MARKET,
            ticks,
            steps,
            asked.trigger_by_mark,
        )
