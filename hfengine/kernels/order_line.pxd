# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Declarations for cimport: an order as the frame kernels read it, and what a template is."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from hfengine.kernels.grid cimport Grid
from hfengine.kernels.histogram cimport Histogram

cdef enum:
    LIMIT
    MARKET
    STOP_MARKET
    TAKE_PROFIT_MARKET


cdef struct Asked:
    # borrowed from an OrderRequest; the decimals are Decimals, the texts are str
    PyObject* client_id
    PyObject* symbol
    PyObject* quantity
    PyObject* price
    PyObject* trigger
    PyObject* stop
    PyObject* target
    int side
    int kind
    int tif
    bint reduce_only
    bint close_position
    bint trigger_by_mark
    bint protect_by_mark


cdef class OrderFrames:
    cdef Grid _price
    cdef Grid _quantity

    cdef object frame(self, Asked* asked, int64_t request_id, int64_t now_ms)


cdef class OrderLine:
    cdef public Histogram build_ns
    cdef public Histogram write_ns
    cdef public int64_t clock_offset_ms
    cdef public bint is_ready
    cdef public int64_t _last_id
    cdef public dict _waiting
    cdef public dict _templates
    cdef object _link
    cdef object _send
    cdef object _now
    cdef Py_ssize_t _entries_max

    cdef int64_t submit(self, object request) except? -1
    cdef object plain(self, object request, int64_t request_id, int64_t now_ms)
