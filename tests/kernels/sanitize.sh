#!/usr/bin/env bash
# The compiled kernels under sanitizers: their Python tests with AddressSanitizer and UBSan, then csrc's own driver,
# whose threads ThreadSanitizer understands (torch's pool it does not). PYTHON is one with everything installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=$(dirname "$PYTHON")
cmake() { "$bin/cmake" "$@"; }
configure() { cmake -S . -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" -DDEEPRNN_STRICT=ON "$@" >/dev/null; }

echo "== ThreadSanitizer"
configure -B build/tsan -DDEEPRNN_PYTHON=OFF -DDEEPRNN_SANITIZE=thread
cmake --build build/tsan --target thread_driver
TSAN_OPTIONS=halt_on_error=1 build/tsan/thread_driver

echo "== AddressSanitizer and UBSan"
configure -B build/asan -DPython_EXECUTABLE="$PYTHON" -DDEEPRNN_SANITIZE=address,undefined
cmake --build build/asan
package=build/asan/package
rm -rf "$package"
mkdir -p "$package"
cp -r src/deeprnn "$package"
cp build/asan/_native*.so "$package/deeprnn/kernels"
site=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
# -S keeps the editable installation out of the way. Python itself leaks by design, and the sanitizer has an allocator of
# its own, which ends the process where memory is short. torch.compile's own compiler and
# programs that the tests start are not what is tested here.
LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
  PYTHONPATH="$package:$site" \
  "$PYTHON" -S -m pytest tests/kernels -p no:cacheprovider -q -k "not test_native_compiled and not without_kernels and not environment and not fork and not out_of_memory" "$@"
