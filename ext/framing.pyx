# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Journal frames chained by CRC-32 into one growing block, without a Python object in between.

A frame is length u32, crc u32, payload, little-endian; its crc is
crc32(crc of the frame before || length || payload), as hfengine/journal/frames.py defines it.
CRC-32 is zlib's (reflected 0xEDB88320), eight bytes a step by slicing (Kounavis and Berry, 2005).
"""

from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

cdef uint32_t[8][256] TABLES


cdef void fill_tables() noexcept nogil:
    cdef uint32_t crc
    cdef int byte, bit, table
    for byte in range(256):
        crc = byte
        for bit in range(8):
            crc = (crc >> 1) ^ (0xEDB88320u if crc & 1 else 0)
        TABLES[0][byte] = crc
    for byte in range(256):
        for table in range(1, 8):
            crc = TABLES[table - 1][byte]
            TABLES[table][byte] = (crc >> 8) ^ TABLES[0][crc & 0xFF]


fill_tables()


cdef uint32_t crc_of(uint32_t crc, const unsigned char* at, Py_ssize_t size) noexcept nogil:
    """Continue a finished CRC over more bytes, as zlib.crc32(bytes, crc) does."""
    cdef uint64_t word
    crc = ~crc
    while size >= 8:
        memcpy(&word, at, 8)
        word ^= crc
        crc = (
            TABLES[7][word & 0xFF] ^ TABLES[6][(word >> 8) & 0xFF]
            ^ TABLES[5][(word >> 16) & 0xFF] ^ TABLES[4][(word >> 24) & 0xFF]
            ^ TABLES[3][(word >> 32) & 0xFF] ^ TABLES[2][(word >> 40) & 0xFF]
            ^ TABLES[1][(word >> 48) & 0xFF] ^ TABLES[0][word >> 56])
        at += 8
        size -= 8
    while size > 0:
        crc = (crc >> 8) ^ TABLES[0][(crc ^ at[0]) & 0xFF]
        at += 1
        size -= 1
    return ~crc


cdef bint are_plain(message, tuple names, dict free_fields, frozenset scalars) except -1:
    """Tell whether fields of free form hold scalars, or messages that need no care."""
    for name in names:
        kind = type(getattr(message, name))
        if kind in scalars:
            continue
        looked_at = free_fields.get(kind)
        if looked_at is None or looked_at:
            return False
    return True


cdef class Framer:
    """Chain frames into a block. See the stub."""

    cdef unsigned char* block
    cdef Py_ssize_t room
    cdef readonly Py_ssize_t block_bytes
    cdef readonly uint32_t crc
    cdef readonly uint32_t xor

    def __cinit__(self, Py_ssize_t room_bytes):
        if room_bytes < 64:
            raise ValueError(f"room_bytes must be at least 64, not {room_bytes}")
        self.block = <unsigned char*>malloc(room_bytes)
        if self.block == NULL:
            raise MemoryError()
        self.room = room_bytes

    def __dealloc__(self):
        free(self.block)

    cpdef Py_ssize_t add(self, bytes payload) except -1:
        cdef uint32_t[2] head
        cdef uint32_t length
        cdef Py_ssize_t size
        if payload is None:
            raise TypeError("a payload must be bytes, not None")
        size = PyBytes_GET_SIZE(payload)
        if size >= 0xFFFFFFFF:
            raise ValueError(f"{size} bytes do not fit a frame's length")
        self.reserve(self.block_bytes + size + 8)
        length = <uint32_t>size
        head[0] = self.crc
        head[1] = length
        self.crc = crc_of(
            crc_of(0, <unsigned char*>head, 8), <unsigned char*>PyBytes_AS_STRING(payload), size)
        self.xor ^= self.crc
        head[0] = length
        head[1] = self.crc
        memcpy(self.block + self.block_bytes, head, 8)
        memcpy(self.block + self.block_bytes + 8, PyBytes_AS_STRING(payload), size)
        self.block_bytes += size + 8
        return self.block_bytes

    def add_plain(
        self,
        list messages,
        Py_ssize_t start,
        pack,
        dict free_fields,
        frozenset scalars,
        list secrets,
        Py_ssize_t full_bytes,
        Py_ssize_t record_bytes_max,
    ):
        cdef Py_ssize_t at = start
        cdef Py_ssize_t end = len(messages)
        cdef bytes payload
        cdef bint holds_secret
        while at < end and self.block_bytes < full_bytes:
            message = messages[at]
            looked_at = free_fields.get(type(message))
            if looked_at is None:
                break
            if looked_at and not are_plain(message, <tuple>looked_at, free_fields, scalars):
                break
            try:
                payload = pack(message)
            except (TypeError, ValueError, OverflowError):
                # whoever goes on with it tells what is wrong
                break
            holds_secret = False
            for secret in secrets:
                if secret in payload:
                    holds_secret = True
            if holds_secret or PyBytes_GET_SIZE(payload) > record_bytes_max:
                break
            self.add(payload)
            at += 1
        return at

    cdef int reserve(self, Py_ssize_t wanted) except -1:
        cdef Py_ssize_t room = self.room
        cdef unsigned char* grown
        if wanted <= room:
            return 0
        while room < wanted:
            room *= 2
        grown = <unsigned char*>realloc(self.block, room)
        if grown == NULL:
            raise MemoryError()
        self.block = grown
        self.room = room
        return 0

    def take(self):
        block = PyByteArray_FromStringAndSize(<char*>self.block, self.block_bytes)
        self.block_bytes = 0
        return block

    def begin_seal(self):
        self.xor = 0
