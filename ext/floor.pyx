# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The least a program can do between a Bybit book frame and an order: the floor of benchmarks."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from hfengine.kernels.book cimport Book
from hfengine.kernels.bybit_codec cimport DEPTH, BybitCodec
from hfengine.kernels.histogram cimport mono_ns

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    ssize_t recv(int fd, void* into, size_t size, int flags)
    ssize_t send(int fd, const void* what, size_t size, int flags)

cdef extern from "poll.h" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int POLLIN
    int poll(pollfd* sockets, unsigned long count, int timeout_ms)

cdef enum:
    RECEIVED_MAX = 1 << 18
    ORDER_MAX = 1024
    PART_MAX = 256  # longest of the texts around the changing fields
    HEAD = 8  # of a client's frame of 126 to 65535 bytes: 2, length 2, mask 4
    SPINS_PER_LOOK = 8192  # about 2 ms between two looks at signals and acknowledgements
    SLEEP_MS = 200
    OP_TEXT = 1
    OP_CLOSE = 8
    OP_PING = 9
    OP_PONG = 10
    SIZE_16 = 126
    SIZE_64 = 127


cdef inline char* put_text(char* at, bytes text) noexcept:
    memcpy(at, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return at + PyBytes_GET_SIZE(text)


cdef inline char* put_whole(char* at, int64_t number) noexcept nogil:
    cdef char digits[20]
    cdef int count = 0
    while True:
        digits[count] = <char>(48 + number % 10)
        count += 1
        number //= 10
        if number == 0:
            break
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
    return at


cdef inline char* put_decimal(char* at, int64_t units, int decimals) noexcept nogil:
    """Write units / 10**decimals exactly, with all its decimals."""
    cdef int64_t scale = 1
    cdef int left
    for left in range(decimals):
        scale *= 10
    at = put_whole(at, units // scale)
    if decimals == 0:
        return at
    at[0] = c'.'
    at += 1
    units %= scale
    for left in range(decimals):
        scale //= 10
        at[0] = <char>(48 + units // scale)
        at += 1
        units %= scale
    return at


cdef inline int64_t wall_ms() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1000 + now.tv_nsec // 1_000_000


cdef inline void mask(char* payload, int64_t size, uint32_t key) noexcept nogil:
    cdef uint64_t wide = <uint64_t>key | (<uint64_t>key << 32)
    cdef uint64_t word
    cdef int64_t at = 0
    while at + 8 <= size:
        memcpy(&word, payload + at, 8)
        word ^= wide
        memcpy(payload + at, &word, 8)
        at += 8
    while at < size:
        payload[at] ^= <char>((key >> (8 * (at & 3))) & 255)
        at += 1


cdef class FloorPath:
    cdef BybitCodec codec
    cdef Book book
    cdef readonly int64_t orders
    cdef bytes before_time
    cdef bytes before_side
    cdef bytes before_price
    cdef bytes before_link
    cdef char frame[HEAD + ORDER_MAX]
    cdef char received[RECEIVED_MAX]
    cdef int64_t have

    def __init__(self, BybitCodec codec not None, str quantity not None):
        if not quantity.replace(".", "", 1).isdigit() or len(quantity) > 32:
            raise ValueError(f"a quantity is plain decimals, not {quantity!r}")
        symbol = codec.symbol
        self.codec = codec
        self.book = codec.book
        self.before_time = b'","header":{"X-BAPI-TIMESTAMP":"'
        self.before_side = (
            '","X-BAPI-RECV-WINDOW":"5000"},"op":"order.create","args":[{"category":"linear",'
            f'"symbol":"{symbol}","side":"'
        ).encode()
        self.before_price = f'","orderType":"Limit","qty":"{quantity}","price":"'.encode()
        self.before_link = b'","timeInForce":"IOC","orderLinkId":"floor-'
        if len(self.before_side) > PART_MAX:
            raise ValueError(f"too long a symbol: {symbol!r}")

    cdef int64_t build(self, bytes payload) except -1:
        """Write an order into the frame's payload; return its size, 0 when there is none."""
        cdef char* start = self.frame + HEAD
        cdef char* at = start
        cdef Book book = self.book
        cdef int64_t bid_steps, ask_steps, ticks
        cdef bint buys
        if self.codec.decode(payload) != DEPTH or book.bids.count == 0 or book.asks.count == 0:
            return 0
        bid_steps = book.bids.levels[book.bids.count - 1].steps
        ask_steps = book.asks.levels[book.asks.count - 1].steps
        buys = bid_steps > ask_steps
        if buys:
            ticks = book.asks.levels[book.asks.count - 1].ticks
        else:
            ticks = book.bids.levels[book.bids.count - 1].ticks
        self.orders += 1
        at = put_text(at, b'{"reqId":"')
        at = put_whole(at, self.orders)
        at = put_text(at, self.before_time)
        at = put_whole(at, wall_ms())
        at = put_text(at, self.before_side)
        at = put_text(at, b"Buy" if buys else b"Sell")
        at = put_text(at, self.before_price)
        at = put_decimal(at, ticks * book.tick_units, book.tick_decimals)
        at = put_text(at, self.before_link)
        at = put_whole(at, self.orders)
        at = put_text(at, b'"}]}')
        return at - start

    def order(self, bytes payload not None):
        cdef int64_t size = self.build(payload)
        if size == 0:
            return None
        return PyBytes_FromStringAndSize(self.frame + HEAD, size)

    cdef int send_order(self, int fd, int64_t size) except -1:
        # the key need not be secret on a loopback: nothing caches between the two ends
        cdef uint32_t key = <uint32_t>mono_ns()
        self.frame[0] = <char>(0x80 | OP_TEXT)
        self.frame[1] = <char>(0x80 | SIZE_16)
        self.frame[2] = <char>(size >> 8)
        self.frame[3] = <char>(size & 255)
        memcpy(self.frame + 4, &key, 4)
        mask(self.frame + HEAD, size, key)
        return self.send_all(fd, self.frame, HEAD + size)

    cdef int send_all(self, int fd, const char* what, int64_t size) except -1:
        cdef ssize_t sent
        while size > 0:
            sent = send(fd, what, size, MSG_NOSIGNAL)
            if sent < 0:
                if errno == EAGAIN or errno == EINTR:
                    PyErr_CheckSignals()
                    continue
                PyErr_SetFromErrno(OSError)
            what += sent
            size -= sent
        return 0

    cdef int pong(self, int fd, const char* payload, int64_t size) except -1:
        cdef char answer[6 + 125]
        answer[0] = <char>(0x80 | OP_PONG)
        answer[1] = <char>(0x80 | size)
        answer[2] = answer[3] = answer[4] = answer[5] = 0
        memcpy(answer + 6, payload, size)
        return self.send_all(fd, answer, 6 + size)

    cdef int take_frames(self, int feed_fd, int order_fd) except -1:
        """Act on every whole frame received; return 1 after a close frame, else 0."""
        cdef uint8_t* head
        cdef int64_t at = 0, size, start, order_size
        cdef int opcode, part
        while self.have - at >= 2:
            head = <uint8_t*>self.received + at
            size = head[1]
            start = 2
            if size == SIZE_16:
                start = 4
                if self.have - at < start:
                    break
                size = (<int64_t>head[2] << 8) | head[3]
            elif size == SIZE_64:
                start = 10
                if self.have - at < start:
                    break
                size = 0
                for part in range(8):
                    size = (size << 8) | head[2 + part]
            if size < 0 or start + size > RECEIVED_MAX:
                raise ValueError(f"a frame of {size} bytes, at most {RECEIVED_MAX}")
            if self.have - at < start + size:
                break
            opcode = head[0] & 15
            if opcode == OP_TEXT:
                order_size = self.build(PyBytes_FromStringAndSize(<char*>head + start, size))
                if order_size:
                    self.send_order(order_fd, order_size)
            elif opcode == OP_PING and size <= 125:
                self.pong(feed_fd, <char*>head + start, size)
            elif opcode == OP_CLOSE:
                return 1
            at += start + size
        self.have -= at
        memmove(self.received, self.received + at, self.have)
        return 0

    def serve(self, int feed_fd, int order_fd, bint spin):
        cdef pollfd sockets[2]
        cdef ssize_t count
        cdef int64_t idle = 0
        sockets[0].fd = feed_fd
        sockets[1].fd = order_fd
        sockets[0].events = sockets[1].events = <short>POLLIN
        self.have = 0
        while True:
            with nogil:
                if not spin:
                    poll(sockets, 2, SLEEP_MS)
                while True:
                    count = recv(
                        feed_fd, self.received + self.have, RECEIVED_MAX - self.have, MSG_DONTWAIT
                    )
                    idle += 1
                    if count >= 0 or errno != EAGAIN or not spin or idle % SPINS_PER_LOOK == 0:
                        break
            if count == 0:
                return self.orders
            if count > 0:
                self.have += count
                if self.take_frames(feed_fd, order_fd):
                    return self.orders
                if spin:
                    continue
            elif errno != EAGAIN and errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
            if self.drop_answers(order_fd):
                return self.orders

    cdef int drop_answers(self, int fd) except -1:
        """Read and forget what the order connection says; return 1 when it was closed."""
        cdef char answers[4096]
        cdef ssize_t count
        while True:
            count = recv(fd, answers, 4096, MSG_DONTWAIT)
            if count == 0:
                return 1
            if count < 0:
                if errno != EAGAIN and errno != EINTR:
                    PyErr_SetFromErrno(OSError)
                return 0
