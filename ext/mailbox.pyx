# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The compiled mailbox of an actor and the run queue of the event-loop thread that serves it.

A `Mailbox` speaks Pykka's inbox protocol (put, get, empty), so Pykka's own receive loop runs
unchanged on top of it, and adds `tell`, which runs an idle actor's handler at once on the loop's
own thread. A `Host` is one loop thread: handlers never nest, because a tell made inside a handler
puts its target on the run queue and the outermost frame empties that queue, first in first out.

Other threads may call `put`, `tell` and `deliver`; they rely on the interpreter lock, which no
statement here gives up between reading and writing the queue.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport int64_t

from enum import IntEnum

from pykka import ActorDeadError
from pykka._envelope import Envelope


class Policy(IntEnum):
    """What a mailbox does with a message class when messages have to wait."""

    KEEP = 0
    CONFLATE = 1
    DROP_OLDEST = 2


class MailboxOverflow(Exception):
    """A mailbox is full of messages none of which may be dropped: fatal for its actor."""


class Drained(BaseException):
    """Raised by `Mailbox.get` when this turn's mail is done: it ends one run of Pykka's loop."""


cdef class Host:
    """One event-loop thread: which thread it is, how deep in handlers, who has mail."""

    def __init__(self, loop):
        self.loop = loop
        self.ident = PyThread_get_thread_ident()
        self.depth = 0

    def here(self):
        """Return whether the calling thread is the loop's own."""
        return PyThread_get_thread_ident() == self.ident

    def idle(self):
        """Return whether no handler runs and no mailbox waits for its turn."""
        return self.depth == 0 and self.first is None

    def begin_batch(self):
        """Hold all tells of this thread back until `end_batch`, so that they may conflate."""
        self.depth += 1

    def end_batch(self):
        """Release what `begin_batch` held back and run every waiting actor to completion."""
        if self.depth == 0:
            raise RuntimeError("end_batch without begin_batch")
        self.depth -= 1
        if self.depth == 0:
            if self.first is not None:
                self._pump()
            elif self.settled is not None:
                self.settled()

    def pump(self):
        """Run every actor with mail to completion; does nothing inside a handler."""
        if self.depth == 0 and self.first is not None:
            self._pump()

    def wake(self, Mailbox box):
        """Give `box` its turn: the loop's side of a message from another thread."""
        self._push(box)
        if self.depth == 0:
            self._pump()

    def run_one(self):
        """Give one waiting actor that is not inside a handler its turn; False if there is none."""
        cdef Mailbox box = self._take()
        if box is None:
            return False
        self.depth += 1
        try:
            box._drain()
        finally:
            self.depth -= 1
        return True

    cdef void _push(self, Mailbox box):
        box.follower = None
        if self.last is None:
            self.first = box
        else:
            self.last.follower = box
        self.last = box

    cdef Mailbox _take(self):
        """Unlink the first mailbox whose actor is not inside a handler."""
        cdef Mailbox before = None
        cdef Mailbox box = self.first
        while box is not None and box.busy:
            before = box
            box = box.follower
        if box is None:
            return None
        if before is None:
            self.first = box.follower
        else:
            before.follower = box.follower
        if box.follower is None:
            self.last = before
        box.follower = None
        return box

    cdef int _pump(self) except -1:
        cdef Mailbox box
        self.depth += 1
        try:
            while True:
                box = self._take()
                if box is None:
                    break
                box._drain()
        finally:
            self.depth -= 1
        if self.settled is not None:
            self.settled()
        return 0


cdef class Mailbox:
    """The bounded inbox of one actor.

    `policies` maps a message class to a `Policy`; classes not named are KEEP. KEEP is never
    dropped: one message too many is a `MailboxOverflow`, which stops the actor. CONFLATE keeps the
    newest message per `message.symbol` at the place of the one it replaces. DROP_OLDEST gives way
    to any other message at the bound, oldest first. With an empty queue no policy is looked up.
    """

    def __init__(self, int64_t capacity, policies=None):
        if capacity < 1:
            raise ValueError(f"mailbox capacity must be at least 1, not {capacity}")
        self.capacity = capacity
        self.slots = [None] * 16
        self.mask = 15
        self.conflating = {}
        self.droppable = set()
        self.handlers = {}
        for message_class, policy in (policies or {}).items():
            policy = Policy(policy)
            if policy is Policy.CONFLATE:
                if not hasattr(message_class, "symbol"):
                    raise TypeError(
                        f"{message_class.__name__} cannot be conflated: it has no field `symbol`"
                    )
                self.conflating[message_class] = {}
            elif policy is Policy.DROP_OLDEST:
                self.droppable.add(message_class)

    def bind(self, actor, Host host, dict handlers):
        """Name the actor served, the thread that serves it and its handler per message class.

        A class without a handler goes to the actor's `_handle_receive`.
        """
        self.actor = actor
        self.receive = actor._handle_receive
        self.handlers = handlers
        self.host_ = host

    @property
    def host(self):
        """The loop thread this mailbox is served on; None before `bind`."""
        return self.host_

    def __len__(self):
        return self.count

    def start(self):
        """Queue the actor's first turn: `on_start`, then what was sent to it meanwhile."""
        cdef Host host = self.host_
        if self.scheduled:
            return
        self.scheduled = True
        if PyThread_get_thread_ident() == host.ident:
            host.loop.call_soon(host.pump)
            host._push(self)
        else:
            host.loop.call_soon_threadsafe(host.wake, self)

    def put(self, envelope):
        """Queue an envelope; one that comes after the actor's end is answered with its death."""
        self.received += 1
        if self.closed:
            self._append(envelope)
            self._close()
            return
        self._enqueue(envelope)
        self._schedule()

    def get(self):
        """Return the next envelope of this turn; raises Drained when the turn is over."""
        if self.count == 0 or (self.busy and not self.closed and self.quota <= 0):
            raise Drained
        message = self._pop()
        if type(message) is Envelope:
            return message
        return Envelope(message)

    def empty(self):
        """Return whether nothing is queued."""
        return self.count == 0

    def tell(self, message):
        """Send a message: run at once if the actor is idle on this thread, else queued.

        Raises ActorDeadError when the actor has stopped.
        """
        if self.stopped:
            raise ActorDeadError(f"{self.actor.actor_ref} not found")
        self._tell(message)

    cpdef int deliver(self, message) except -1:
        """Send like `tell`, but count a message for a stopped actor instead of raising."""
        if self.stopped:
            self.received += 1
            self.undelivered += 1
            return 0
        return self._tell(message)

    cdef int _tell(self, message) except -1:
        cdef Host host = self.host_
        self.received += 1
        if (
            host is not None
            and host.depth == 0
            and self.count == 0
            and self.started
            and PyThread_get_thread_ident() == host.ident
        ):
            self._run_now(host, message)
            return 0
        self._enqueue(message)
        self._schedule()
        return 0

    cdef int _run_now(self, Host host, message) except -1:
        host.depth = 1
        self.busy = True
        try:
            self._handle(message)
            if self.stopped:
                self._close()
        finally:
            self.busy = False
            host.depth = 0
        if host.first is not None:
            host._pump()
        elif host.settled is not None:
            host.settled()
        return 0

    cdef int _handle(self, message) except -1:
        """Run the message's handler; whatever it raises is the actor's failure."""
        cdef PyObject* handler
        try:
            handler = PyDict_GetItem(self.handlers, type(message))
            if handler is NULL:
                self.receive(message)
            else:
                (<object> handler)(message)
        except BaseException as error:
            self.actor._handler_failed(error)
        return 0

    cdef int _schedule(self) except -1:
        """Ask for a turn, unless one is already due or the actor has not been bound."""
        cdef Host host = self.host_
        if self.scheduled or host is None:
            return 0
        self.scheduled = True
        if PyThread_get_thread_ident() == host.ident:
            host._push(self)
            if host.depth == 0:
                host._pump()
            return 0
        try:
            host.loop.call_soon_threadsafe(host.wake, self)
        except RuntimeError:
            if not host.loop.is_closed():
                raise
            # The loop is gone and will never run the actor again: say so to whoever asks.
            self.actor.actor_stopped.set()
            self.stopped = True
            self._close()
        return 0

    cdef int _drain(self) except -1:
        """Run the actor for one turn: what is queued now, not what its handlers add."""
        self.scheduled = False
        if self.closed:
            return 0
        self.busy = True
        try:
            if not self.started:
                self.started = True
                self.actor._actor_loop_setup()
            self.quota = self.count
            while self.quota > 0 and not self.stopped and self.overflow is None:
                if type(self.slots[self.head & self.mask]) is Envelope:
                    self._run_pykka_loop()
                else:
                    self._handle(self._pop())
            if self.overflow is not None and not self.stopped:
                self.actor._handler_failed(self.overflow)
            if self.stopped:
                self._close()
            elif self.count > 0 and not self.scheduled:
                self.scheduled = True
                self.host_._push(self)
        finally:
            self.busy = False
            self.quota = 0
        return 0

    cdef int _run_pykka_loop(self) except -1:
        try:
            self.actor._actor_loop_running()
        except Drained:
            pass
        except Exception as error:
            self.actor._handler_failed(error)
        return 0

    cdef int _close(self) except -1:
        """Let Pykka's teardown answer what nobody will handle; only plain messages are lost."""
        cdef int64_t i
        self.closed = True
        for i in range(self.count):
            if type(self.slots[(self.head + i) & self.mask]) is not Envelope:
                self.undelivered += 1
        self.actor._actor_loop_teardown()
        return 0

    cdef int _enqueue(self, message) except -1:
        """Queue by the class's policy: replace, make room, or overflow."""
        cdef dict places
        cdef object symbol = None
        cdef object place
        cdef bint conflates = False
        if self.overflow is not None and type(message) is not Envelope:
            self.undelivered += 1
            return 0
        if self.count == 0:
            self.head_unindexed = len(self.conflating) > 0
            self._append(message)
            return 0
        places = self.conflating.get(type(message)) if self.conflating else None
        if places is not None:
            symbol = message.symbol
            if self.head_unindexed:
                self._index_head()
            place = places.get(symbol)
            if place is not None:
                self._replace(<int64_t> place, message)
                return 0
            conflates = True
        if self.count >= self.capacity and not self._make_room(message):
            return 0
        if conflates:
            places[symbol] = self.head + self.count
            self.indexed += 1
        self._append(message)
        return 0

    cdef int _replace(self, int64_t place, message) except -1:
        # The old message dies last: its end may run Python, and then the queue must be whole.
        old = self.slots[place & self.mask]
        self.slots[place & self.mask] = message
        self.conflated += 1
        return 0

    cdef int _index_head(self) except -1:
        """Note the place of the one message that was queued while nothing waited."""
        cdef object message = self.slots[self.head & self.mask]
        cdef dict places = self.conflating.get(type(message))
        self.head_unindexed = False
        if places is not None:
            places[message.symbol] = self.head
            self.indexed += 1
        return 0

    cdef int _append(self, message) except -1:
        cdef int64_t size = self.mask + 1
        cdef int64_t i
        cdef list wider
        if self.count == size:
            wider = [None] * (2 * size)
            for i in range(self.head, self.head + self.count):
                wider[i & (2 * size - 1)] = self.slots[i & self.mask]
            self.slots = wider
            self.mask = 2 * size - 1
        self.slots[(self.head + self.count) & self.mask] = message
        self.count += 1
        if self.count > self.high_water:
            self.high_water = self.count
        return 0

    cdef object _pop(self):
        cdef int64_t i = self.head & self.mask
        cdef object message = self.slots[i]
        self.slots[i] = None
        if self.head_unindexed:
            self.head_unindexed = False
        elif self.indexed > 0:
            self._unindex(message)
        self.head += 1
        self.count -= 1
        self.quota -= 1
        return message

    cdef int _unindex(self, message) except -1:
        cdef dict places = self.conflating.get(type(message))
        if places is not None:
            del places[message.symbol]
            self.indexed -= 1
        return 0

    cdef bint _make_room(self, message) except -1:
        """Return whether `message` may be queued although the mailbox is full."""
        cdef int64_t i
        if self.droppable:
            for i in range(self.count):
                if type(self.slots[(self.head + i) & self.mask]) in self.droppable:
                    self._remove(i)
                    self.dropped += 1
                    return True
            if type(message) in self.droppable:
                self.dropped += 1
                return False
        if self.overflow is None:
            self.overflow = MailboxOverflow(
                f"{self.actor or 'an actor'} has {self.capacity} messages waiting and got one more:"
                f" {type(message).__name__}"
            )
        if type(message) is Envelope:
            return True
        self.undelivered += 1
        return False

    cdef int _remove(self, int64_t position) except -1:
        """Take the droppable message at `position` out; those before it move up by one."""
        cdef int64_t i
        cdef object message
        cdef dict places
        dropped = self.slots[(self.head + position) & self.mask]
        if position == 0:
            self.head_unindexed = False
        for i in range(self.head + position, self.head, -1):
            message = self.slots[(i - 1) & self.mask]
            self.slots[i & self.mask] = message
            if self.indexed > 0 and not (self.head_unindexed and i - 1 == self.head):
                places = self.conflating.get(type(message))
                if places is not None:
                    places[message.symbol] = i
        self.slots[self.head & self.mask] = None
        self.head += 1
        self.count -= 1
        if position < self.quota:
            self.quota -= 1
        return 0
