# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Hand a published message to its taps and mailboxes without a step of the interpreter between."""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from hfengine.kernels.mailbox cimport Mailbox


cdef class Plan:
    """Who sees one message class: taps first, then mailboxes, each in order."""

    cdef tuple taps
    cdef tuple boxes

    def __init__(self, tuple taps, tuple boxes):
        for box in boxes:
            if not isinstance(box, Mailbox):
                raise TypeError(f"a plan delivers to mailboxes, not to {type(box).__name__}")
        self.taps = taps
        self.boxes = boxes


cdef class Publisher:
    """Publish messages by their class. See the stub."""

    cdef dict plans
    cdef object unrouted

    def __init__(self, unrouted):
        self.plans = {}
        self.unrouted = unrouted

    def plan(self, message_class, tuple taps, tuple boxes):
        self.plans[message_class] = Plan(taps, boxes)

    def publish(self, message):
        cdef PyObject* found = PyDict_GetItem(self.plans, type(message))
        cdef Plan plan
        if found is NULL:
            raise self.unrouted(message)
        plan = <Plan><object>found
        for tap in plan.taps:
            tap(message)
        for box in plan.boxes:
            (<Mailbox>box).deliver(message)
