"""Fuzz both codecs against their plain references with atheris, guided by the compiled code.

The kernels are built a second time with gcc's coverage calls (build/fuzz), and coverage.c hands
those to libFuzzer. Run from the repository's root, by `make fuzz` or

    python -m tests.fuzz.fuzz_codec --seconds 60

What differs is written to build/fuzz/found; once it is fixed, keep it as
tests/fuzz/corpus/NAME.case, its first line the dialect's letter and the results it must have.
Exit code 0 when nothing differed, 77 when something did.
"""

import argparse
import ctypes
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
KERNELS = "book codec bybit_codec"
FLAGS = "-fsanitize-coverage=trace-pc,trace-cmp"
COUNTERS = 1 << 16  # as in coverage.c
INPUT_BYTES_MAX = 3000
EVERYONE = os.RTLD_GLOBAL | os.RTLD_NOW
FORWARDED = [f"{form}{size}" for form in ("cmp", "const_cmp") for size in (1, 2, 4, 8)] + ["switch"]


def build() -> Path:
    """Build the kernels with coverage calls, and the library that counts them."""
    BUILD.mkdir(parents=True, exist_ok=True)
    shim = BUILD / "coverage.so"
    source = Path(__file__).with_name("coverage.c")
    subprocess.run(
        [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", shim, source], check=True
    )
    subprocess.run(
        [
            *(sys.executable, "setup.py", "--quiet", "build_ext", "--force"),
            *("--build-lib", str(BUILD), "--build-temp", str(BUILD / "objects")),
        ],
        check=True,
        cwd=ROOT,
        env={**os.environ, "CFLAGS": FLAGS, "HFENGINE_KERNELS": KERNELS},
    )
    return shim


def link(counting: ctypes.CDLL) -> None:
    """Make libFuzzer count what the compiled kernels do, and have those kernels imported."""
    import atheris.core_with_libfuzzer  # noqa: PLC0415 - atheris only where fuzzing is

    # Seen by all, it would be taken for a libFuzzer that was there before atheris.
    fuzzer = ctypes.CDLL(atheris.core_with_libfuzzer.__file__, os.RTLD_LOCAL | os.RTLD_NOW)
    for name in FORWARDED:
        hook = ctypes.cast(getattr(fuzzer, f"__sanitizer_cov_trace_{name}"), ctypes.c_void_p)
        ctypes.c_void_p.in_dll(counting, f"hf_{name}").value = hook.value
    counters = ctypes.addressof((ctypes.c_uint8 * COUNTERS).in_dll(counting, "hf_counters"))
    places = ctypes.addressof((ctypes.c_size_t * (2 * COUNTERS)).in_dll(counting, "hf_places"))
    span = ctypes.sizeof(ctypes.c_size_t) * 2 * COUNTERS
    fuzzer.__sanitizer_cov_8bit_counters_init(
        ctypes.c_void_p(counters), ctypes.c_void_p(counters + COUNTERS)
    )
    fuzzer.__sanitizer_cov_pcs_init(ctypes.c_void_p(places), ctypes.c_void_p(places + span))
    import hfengine.kernels  # noqa: PLC0415 - whose modules must come from BUILD

    hfengine.kernels.__path__.insert(0, str(BUILD / "hfengine" / "kernels"))
    from hfengine.kernels import codec  # noqa: PLC0415

    if not str(codec.__file__).startswith(str(BUILD)):
        sys.exit(f"the codec came from {codec.__file__}, not from {BUILD}")


def main() -> None:
    """Run libFuzzer for a stated time; it ends the process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long to search")
    parser.add_argument("rest", nargs="*", help="arguments for libFuzzer, after --")
    arguments = parser.parse_args()
    counting = ctypes.CDLL(str(build()), EVERYONE)
    import atheris  # noqa: PLC0415 - only where fuzzing is

    corpus, found = BUILD / "corpus", BUILD / "found"
    options = [f"-max_total_time={arguments.seconds}", f"-max_len={INPUT_BYTES_MAX}", "-timeout=20"]
    options += [
        f"-dict={BUILD / 'words.dict'}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
    ]

    def feed(case: bytes) -> None:
        replay(case)

    atheris.Setup([sys.argv[0], *options, *arguments.rest, str(corpus)], feed)
    link(counting)
    from tests.fuzz.cases import CORPUS, replay, seeds, tokens  # noqa: PLC0415

    for folder in (corpus, found):
        folder.mkdir(exist_ok=True)
    for name, case in seeds().items():
        (corpus / name).write_bytes(case)
    for path in CORPUS.glob("*.case"):
        (corpus / path.stem).write_bytes(path.read_bytes())
    lines = ("".join(f"\\x{byte:02x}" for byte in token) for token in tokens())
    (BUILD / "words.dict").write_text("".join(f'"{line}"\n' for line in lines))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
