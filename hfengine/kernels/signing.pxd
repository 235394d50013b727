"""Declarations for cimport: the prepared HMAC, signing into a caller's buffer without the GIL."""

from libc.stdint cimport uint32_t

cdef extern from "sha256.h":
    ctypedef void (*Compress "hf_sha256_blocks")(
        uint32_t* state, const unsigned char* block, size_t count
    ) noexcept nogil


cdef enum:
    HEX_BYTES = 64


cdef class HmacSha256:
    cdef uint32_t _inner[8]
    cdef uint32_t _outer[8]
    cdef Compress _compress
    cdef bint _native

    cdef void sign_into(
        self, const unsigned char* message, size_t size, unsigned char* hex_digits
    ) noexcept nogil
