# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Counts what the interpreter allocates, exactly, for measurements: never on while trading."""

from libc.stdint cimport int64_t

cdef extern from "Python.h":
    ctypedef struct PyMemAllocatorEx:
        void *ctx
        void *(*malloc)(void *ctx, size_t size) noexcept
        void *(*calloc)(void *ctx, size_t count, size_t size) noexcept
        void *(*realloc)(void *ctx, void *block, size_t size) noexcept
        void (*free)(void *ctx, void *block) noexcept

    ctypedef enum PyMemAllocatorDomain:
        PYMEM_DOMAIN_RAW
        PYMEM_DOMAIN_MEM
        PYMEM_DOMAIN_OBJ

    void PyMem_GetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx *allocator)
    void PyMem_SetAllocator(PyMemAllocatorDomain domain, PyMemAllocatorEx *allocator)


cdef struct Tally:
    PyMemAllocatorEx inner
    int64_t allocated
    int64_t freed


# The interpreter may call a hook until the last block is gone, so this outlives every counter.
cdef Tally objects
cdef Tally memory
cdef bint counting = False


cdef void *counted_malloc(void *ctx, size_t size) noexcept:
    cdef Tally *tally = <Tally *> ctx
    cdef void *block = tally.inner.malloc(tally.inner.ctx, size)
    if block != NULL:
        tally.allocated += 1
    return block


cdef void *counted_calloc(void *ctx, size_t count, size_t size) noexcept:
    cdef Tally *tally = <Tally *> ctx
    cdef void *block = tally.inner.calloc(tally.inner.ctx, count, size)
    if block != NULL:
        tally.allocated += 1
    return block


cdef void *counted_realloc(void *ctx, void *block, size_t size) noexcept:
    cdef Tally *tally = <Tally *> ctx
    cdef void *grown = tally.inner.realloc(tally.inner.ctx, block, size)
    if grown != NULL and block == NULL:
        tally.allocated += 1
    return grown


cdef void counted_free(void *ctx, void *block) noexcept:
    cdef Tally *tally = <Tally *> ctx
    if block != NULL:
        tally.freed += 1
    tally.inner.free(tally.inner.ctx, block)


cdef void hook(PyMemAllocatorDomain domain, Tally *tally) noexcept:
    cdef PyMemAllocatorEx counted
    tally.allocated = tally.freed = 0
    PyMem_GetAllocator(domain, &tally.inner)
    counted.ctx = tally
    counted.malloc = counted_malloc
    counted.calloc = counted_calloc
    counted.realloc = counted_realloc
    counted.free = counted_free
    PyMem_SetAllocator(domain, &counted)


cdef class AllocationCounter:
    """Count blocks taken from and given back to the interpreter's allocator while entered."""

    cdef int64_t _allocated, _freed
    cdef bint _entered

    def __enter__(self):
        global counting
        if counting:
            raise RuntimeError("another AllocationCounter is counting: leave it first")
        counting = self._entered = True
        self._allocated = self._freed = 0
        hook(PYMEM_DOMAIN_OBJ, &objects)
        hook(PYMEM_DOMAIN_MEM, &memory)
        return self

    def __exit__(self, kind, error, traceback):
        global counting
        self._allocated = objects.allocated + memory.allocated
        self._freed = objects.freed + memory.freed
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &objects.inner)
        PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &memory.inner)
        counting = self._entered = False

    @property
    def allocated(self):
        """Return how many blocks were allocated; a block that only grew is not counted again."""
        return objects.allocated + memory.allocated if self._entered else self._allocated

    @property
    def freed(self):
        """Return how many blocks were freed, older ones included."""
        return objects.freed + memory.freed if self._entered else self._freed
