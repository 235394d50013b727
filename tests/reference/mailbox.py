"""The mailbox and its host in plain Python: lists and searches instead of a ring and an index."""

from contextlib import suppress

from pykka import ActorDeadError
from pykka._envelope import Envelope

from hfengine.kernels.mailbox import Drained, MailboxOverflow, Policy


class Host:
    """One loop thread: the depth of handlers and the queue of mailboxes waiting for a turn."""

    def __init__(self, loop):
        self.loop = loop
        self.depth = 0
        self.waiting = []

    def begin_batch(self):
        self.depth += 1

    def end_batch(self):
        self.depth -= 1
        self.pump()

    def pump(self):
        if self.depth:
            return
        while self.run_one():
            pass

    def run_one(self):
        for box in self.waiting:
            if not box.busy:
                self.waiting.remove(box)
                self.depth += 1
                box.drain()
                self.depth -= 1
                return True
        return False


class Mailbox:
    """Same surface as the kernel's, on one thread."""

    def __init__(self, capacity, policies=None):
        self.capacity = capacity
        self.policies = dict(policies or {})
        self.queue = []
        self.turn_left = 0
        self.started = self.busy = self.closed = self.stopped = False
        self.overflow = None
        self.host = None
        self.received = self.conflated = self.dropped = self.undelivered = self.high_water = 0

    def bind(self, actor, host, handlers):
        self.actor, self.host, self.handlers = actor, host, handlers

    def start(self):
        if self not in self.host.waiting:
            self.host.waiting.append(self)
            self.host.loop.call_soon(self.host.pump)

    def __len__(self):
        return len(self.queue)

    def empty(self):
        return not self.queue

    def get(self):
        if not self.queue or (self.busy and not self.closed and self.turn_left <= 0):
            raise Drained
        message = self.pop()
        return message if isinstance(message, Envelope) else Envelope(message)

    def put(self, envelope):
        self.received += 1
        if self.closed:
            self.queue.append(envelope)
            self.high_water = max(self.high_water, len(self.queue))
            self.close()
            return
        self.queue_by_policy(envelope)
        self.ask_for_turn()

    def tell(self, message):
        if self.stopped:
            raise ActorDeadError
        self.deliver(message)

    def deliver(self, message):
        self.received += 1
        if self.stopped:
            self.undelivered += 1
            return
        if self.host is not None and not self.host.depth and self.started and not self.queue:
            self.host.depth, self.busy = 1, True
            self.handle(message)
            if self.stopped:
                self.close()
            self.host.depth, self.busy = 0, False
            self.host.pump()
            return
        self.queue_by_policy(message)
        self.ask_for_turn()

    def ask_for_turn(self):
        if self.host is not None and self not in self.host.waiting:
            self.host.waiting.append(self)
            self.host.pump()

    def pop(self):
        self.turn_left -= 1
        return self.queue.pop(0)

    def handle(self, message):
        try:
            self.handlers.get(type(message), self.actor._handle_receive)(message)
        except BaseException as error:  # noqa: BLE001 - what an actor raises is its failure
            self.actor._handler_failed(error)

    def drain(self):
        if self.closed:
            return
        self.busy = True
        if not self.started:
            self.started = True
            self.actor._actor_loop_setup()
        self.turn_left = len(self.queue)
        while self.turn_left > 0 and not self.stopped and self.overflow is None:
            if isinstance(self.queue[0], Envelope):
                with suppress(Drained):
                    self.actor._actor_loop_running()
            else:
                self.handle(self.pop())
        if self.overflow is not None and not self.stopped:
            self.actor._handler_failed(self.overflow)
        if self.stopped:
            self.close()
        elif self.queue and self not in self.host.waiting:
            self.host.waiting.append(self)
        self.busy, self.turn_left = False, 0

    def close(self):
        self.closed = True
        self.undelivered += sum(not isinstance(m, Envelope) for m in self.queue)
        self.actor._actor_loop_teardown()

    def queue_by_policy(self, message):
        is_envelope = isinstance(message, Envelope)
        if self.overflow is not None and not is_envelope:
            self.undelivered += 1
            return
        policy = self.policies.get(type(message), Policy.KEEP)
        if policy is Policy.CONFLATE:
            for place, queued in enumerate(self.queue):
                if type(queued) is type(message) and queued.symbol == message.symbol:
                    self.queue[place] = message
                    self.conflated += 1
                    return
        if len(self.queue) >= self.capacity and not self.make_room(message, policy, is_envelope):
            return
        self.queue.append(message)
        self.high_water = max(self.high_water, len(self.queue))

    def make_room(self, message, policy, is_envelope):
        for place, queued in enumerate(self.queue):
            if self.policies.get(type(queued)) is Policy.DROP_OLDEST:
                del self.queue[place]
                if place < self.turn_left:
                    self.turn_left -= 1
                self.dropped += 1
                return True
        if policy is Policy.DROP_OLDEST:
            self.dropped += 1
            return False
        if self.overflow is None:
            self.overflow = MailboxOverflow()
        if not is_envelope:
            self.undelivered += 1
        return is_envelope
