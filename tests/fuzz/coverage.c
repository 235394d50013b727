/* Hands libFuzzer what gcc's -fsanitize-coverage=trace-pc,trace-cmp calls in compiled code. */

#include <stdint.h>

enum { COUNTERS = 1 << 16 };

uint8_t hf_counters[COUNTERS];
uintptr_t hf_places[2 * COUNTERS]; /* as libFuzzer wants them: an address and flags a counter */

__attribute__((constructor)) static void number_places(void) {
    for (uintptr_t index = 0; index < COUNTERS; index++) {
        hf_places[2 * index] = (uintptr_t)hf_counters + index;
    }
}

void __sanitizer_cov_trace_pc(void) {
    uintptr_t at = (uintptr_t)__builtin_return_address(0);
    uint8_t *counter = &hf_counters[(at ^ (at >> 16)) & (COUNTERS - 1)];
    if (*counter != 255) {
        ++*counter;
    }
}

/* libFuzzer's own hooks lie in a library nobody else sees: the caller sets where. The calls are
   tail calls, so that libFuzzer finds the comparison's address as the one to return to. */
#define FORWARD(name, left, right)                                                                 \
    void (*hf_##name)(left, right);                                                                \
    void __sanitizer_cov_trace_##name(left a, right b) {                                           \
        if (hf_##name) {                                                                           \
            hf_##name(a, b);                                                                       \
        }                                                                                          \
    }

FORWARD(cmp1, uint8_t, uint8_t)
FORWARD(cmp2, uint16_t, uint16_t)
FORWARD(cmp4, uint32_t, uint32_t)
FORWARD(cmp8, uint64_t, uint64_t)
FORWARD(const_cmp1, uint8_t, uint8_t)
FORWARD(const_cmp2, uint16_t, uint16_t)
FORWARD(const_cmp4, uint32_t, uint32_t)
FORWARD(const_cmp8, uint64_t, uint64_t)
FORWARD(switch, uint64_t, uint64_t *)

/* gcc traces comparisons of floats too; libFuzzer does not. */
void __sanitizer_cov_trace_cmpf(float a, float b) { (void)a, (void)b; }
void __sanitizer_cov_trace_cmpd(double a, double b) { (void)a, (void)b; }
