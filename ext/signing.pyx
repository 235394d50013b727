# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""HMAC-SHA-256 (RFC 2104, FIPS 180-4) with the key's two blocks hashed once.

A signature then costs the message's own blocks and one more. The key itself is not kept: only the
two states that follow from it, wiped when the object goes.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "sha256.h":
    const uint32_t[8] START "hf_sha256_start"
    void portable_blocks "hf_sha256_portable"(
        uint32_t* state, const unsigned char* block, size_t count
    ) noexcept nogil
    void native_blocks "hf_sha256_native"(
        uint32_t* state, const unsigned char* block, size_t count
    ) noexcept nogil
    bint has_native "hf_sha256_has_native"() noexcept nogil
    void wipe "hf_wipe"(void* memory, size_t size) noexcept nogil


cdef enum:
    BLOCK = 64
    DIGEST = 32
    INNER_PAD = 0x36
    OUTER_PAD = 0x5C


cdef const char* HEX = "0123456789abcdef"


cdef inline void put_words(unsigned char* place, const uint32_t* words) noexcept nogil:
    """Write eight words as 32 bytes, most significant byte first."""
    cdef int index
    for index in range(8):
        place[4 * index] = words[index] >> 24
        place[4 * index + 1] = words[index] >> 16 & 0xFF
        place[4 * index + 2] = words[index] >> 8 & 0xFF
        place[4 * index + 3] = words[index] & 0xFF


cdef void finish(
    Compress compress, uint32_t* state, const unsigned char* text, size_t size, uint64_t before
) noexcept nogil:
    """Hash the last `size` bytes, `before` bytes of whole blocks having been hashed already."""
    cdef unsigned char tail[2 * BLOCK]
    cdef size_t whole = size // BLOCK, rest = size % BLOCK
    cdef size_t end = BLOCK if rest < BLOCK - 8 else 2 * BLOCK
    cdef uint64_t bits = (before + size) * 8
    cdef int index
    if whole:
        compress(state, text, whole)
    memset(tail, 0, end)
    memcpy(tail, text + whole * BLOCK, rest)
    tail[rest] = 0x80
    for index in range(8):
        tail[end - 1 - index] = bits >> (8 * index) & 0xFF
    compress(state, tail, end // BLOCK)


cdef void pad_state(
    Compress compress, uint32_t* state, const unsigned char* key, unsigned char pad
) noexcept nogil:
    """Set `state` to what follows a key block xored with `pad`."""
    cdef unsigned char block[BLOCK]
    cdef int index
    for index in range(BLOCK):
        block[index] = key[index] ^ pad
    memcpy(state, START, DIGEST)
    compress(state, block, 1)
    wipe(block, BLOCK)


@cython.auto_pickle(False)
cdef class HmacSha256:
    def __init__(self, bytes secret not None, *, bint portable=False):
        cdef unsigned char key[BLOCK]
        cdef uint32_t digest[8]
        cdef const unsigned char* text = <const unsigned char*>PyBytes_AS_STRING(secret)
        cdef size_t size = PyBytes_GET_SIZE(secret)
        if size == 0:
            raise ValueError("the secret is empty")
        self._native = not portable and has_native()
        self._compress = native_blocks if self._native else portable_blocks
        memset(key, 0, BLOCK)
        if size > BLOCK:
            memcpy(digest, START, DIGEST)
            finish(self._compress, digest, text, size, 0)
            put_words(key, digest)
            wipe(digest, DIGEST)
        else:
            memcpy(key, text, size)
        pad_state(self._compress, self._inner, key, INNER_PAD)
        pad_state(self._compress, self._outer, key, OUTER_PAD)
        wipe(key, BLOCK)

    def __cinit__(self):
        self._native = False
        self._compress = portable_blocks

    def __dealloc__(self):
        wipe(self._inner, DIGEST)
        wipe(self._outer, DIGEST)

    def __repr__(self) -> str:
        return "<HmacSha256>"

    def __reduce__(self):
        raise TypeError("a signing key is not pickled")

    @property
    def native(self) -> bool:
        """Tell whether the processor's own SHA instructions are used."""
        return self._native

    cdef void sign_into(
        self, const unsigned char* message, size_t size, unsigned char* hex_digits
    ) noexcept nogil:
        """Write the 64 lower-case hex digits of the message's signature."""
        cdef uint32_t state[8]
        cdef unsigned char digest[DIGEST]
        cdef int index
        memcpy(state, self._inner, DIGEST)
        finish(self._compress, state, message, size, BLOCK)
        put_words(digest, state)
        memcpy(state, self._outer, DIGEST)
        finish(self._compress, state, digest, DIGEST, BLOCK)
        put_words(digest, state)
        for index in range(DIGEST):
            hex_digits[2 * index] = HEX[digest[index] >> 4]
            hex_digits[2 * index + 1] = HEX[digest[index] & 15]

    def sign_hex(self, bytes message not None) -> bytes:
        """Return the signature of a message as 64 lower-case hex digits."""
        cdef bytes digits = PyBytes_FromStringAndSize(NULL, HEX_BYTES)
        self.sign_into(
            <const unsigned char*>PyBytes_AS_STRING(message),
            PyBytes_GET_SIZE(message),
            <unsigned char*>PyBytes_AS_STRING(digits),
        )
        return digits
