# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The hot half of a websocket link: frames into whole messages, reads into batches, frames out.

The listener is compiled against picows' own declarations, so that a frame goes from its parser to
whoever takes it without a step of the interpreter between. What is rare (fragments, pings, the
closing handshake, errors) is left to a Python object, the wire.
"""

cimport cython
from libc.stdint cimport int64_t
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

from hfengine.kernels.histogram cimport mono_ns
from hfengine.kernels.mailbox cimport Host

import picows

# Method tables have no check of their own: with another release the wrong function would be called.
PICOWS_VERSION = "2.3.1"
if picows.__version__ != PICOWS_VERSION:
    raise ImportError(
        f"hfengine is compiled against picows {PICOWS_VERSION}, not {picows.__version__}: "
        f"install picows=={PICOWS_VERSION}"
    )


cdef class Hearer:
    """Hands messages to a Python callable. See the stub."""

    def __init__(self, to):
        self.to = to

    cdef int hear(self, bytes payload, received_ns, read_at_ns) except -1:
        self.to(payload, received_ns)
        return 0

    def __call__(self, bytes payload not None, received_ns, read_at_ns=0):
        self.hear(payload, received_ns, read_at_ns)


@cython.final
cdef class Listener(WSListener):
    """One connection's frames. See the stub."""

    cdef readonly WSTransport transport
    cdef readonly int64_t frames
    cdef readonly bint congested
    cdef public bint in_parts
    cdef public bint broken
    cdef readonly object received_ns
    cdef readonly object read_at_ns
    cdef object wire
    cdef object now_ns
    cdef Host host
    cdef Hearer hearer
    cdef bint in_burst
    cdef int batch_frames
    cdef int batch_frames_max
    cdef Py_ssize_t batch_bytes
    cdef Py_ssize_t batch_bytes_max

    def __init__(
        self, wire, Host host not None, now_ns, heard, int batch_frames_max,
        Py_ssize_t batch_bytes_max
    ):
        if batch_frames_max < 1 or batch_bytes_max < 1:
            raise ValueError(
                f"a batch of at most {batch_frames_max} frames and {batch_bytes_max} bytes holds "
                "none")
        self.wire = wire
        self.host = host
        self.now_ns = now_ns
        self.hearer = heard if isinstance(heard, Hearer) else Hearer(heard)
        self.batch_frames_max = batch_frames_max
        self.batch_bytes_max = batch_bytes_max
        self.received_ns = self.read_at_ns = 0

    cpdef on_ws_connected(self, WSTransport transport):
        self.transport = transport
        self.wire.connected(transport)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        self.frames += 1
        if not self.in_burst:
            self.received_ns = self.now_ns()
            self.read_at_ns = mono_ns()
            if not frame.last_in_buffer:
                self._begin_batch()
        try:
            if self.broken:
                return
            # The usual case first: this is every frame's way.
            if (
                (frame.msg_type == WSMsgType.TEXT or frame.msg_type == WSMsgType.BINARY)
                and frame.fin
                and not self.in_parts
            ):
                self.hearer.hear(frame.get_payload_as_bytes(), self.received_ns, self.read_at_ns)
            else:
                self.wire.take(transport, frame)
        except BaseException as error:
            self.broken = True
            self.wire.failed(error)
            raise
        finally:
            if self.in_burst:
                self.batch_frames += 1
                self.batch_bytes += frame.payload_size
                if frame.last_in_buffer:
                    self._end_batch()
                elif (
                    self.batch_frames == self.batch_frames_max
                    or self.batch_bytes >= self.batch_bytes_max
                ):
                    # A flood grows the read buffer: mailboxes are bounded, bursts are not. One
                    # frame may become many messages, in proportion to its bytes.
                    self._end_batch()
                    self._begin_batch()

    def hear(self, bytes payload not None):
        self.hearer.hear(payload, self.received_ns, self.read_at_ns)

    cdef int _begin_batch(self) except -1:
        self.host.begin_batch()
        self.in_burst = True
        self.batch_frames = 0
        self.batch_bytes = 0
        return 0

    cdef int _end_batch(self) except -1:
        self.in_burst = False
        self.host.end_batch()
        return 0

    cpdef on_ws_disconnected(self, WSTransport transport):
        wire = self.wire
        self.wire = None  # the two know each other, and cycles wait for the collector
        if self.in_burst:
            self._end_batch()
        wire.disconnected(transport)

    cpdef pause_writing(self):
        self.congested = True

    cpdef resume_writing(self):
        self.congested = False


cdef class Line:
    """Where a link's frames go out. See the stub."""

    cdef public bint is_open
    cdef public Listener listener

    def send(self, bytes payload not None):
        cdef Listener listener = self.listener
        cdef WSTransport transport
        if listener is not None and self.is_open and not listener.congested:
            transport = listener.transport
            if not transport.is_close_frame_sent and not transport.is_disconnected:
                transport.send(WSMsgType.TEXT, payload)
                return
        raise self.unsendable()
