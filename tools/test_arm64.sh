#!/bin/bash
# Runs the kernel tests for AArch64 under qemu-user on an x86 Debian or Ubuntu machine (no binfmt, no container).
#   tools/test_arm64.sh DIRECTORY [pytest arguments]      DIRECTORY keeps the arm64 Python (about 700 MB)
# Needs qemu-aarch64-static (apt install qemu-user-static), which cannot start a process of its kind: such tests are left
# out. QEMU_CPU chooses the CPU: max has dotprod and i8mm, cortex-a53 has neither. Slow: compilation takes 8 times,
# kernels 10 to 30 times as long as on the machine itself.
set -euo pipefail
directory=$(realpath -m "$1")
shift
repository=$(realpath "$(dirname "$0")/..")
command -v qemu-aarch64-static >/dev/null || { echo "qemu-aarch64-static is missing: apt install qemu-user-static" >&2; exit 2; }

if [ ! -d "$directory/site/numba" ]; then
    # Packages are unpacked by apt with a state of its own for arm64; none of their scripts runs.
    mkdir -p "$directory"/apt/{state/lists/partial,cache/archives/partial} "$directory"/root
    touch "$directory/apt/state/status"
    apt="apt-get -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Debug::NoLocking=1
        -o Dir::State=$directory/apt/state -o Dir::State::status=$directory/apt/state/status -o Dir::Cache=$directory/apt/cache"
    $apt update -qq
    $apt install -y -qq --download-only --no-install-recommends python3.11 libpython3.11 libgomp1 libstdc++6 zlib1g coreutils
    for package in "$directory"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$directory/root"; done
    platforms=$(printf -- '--platform manylinux%s_aarch64 ' _2_28 _2_27 2014 _2_17)
    python3 -m pip install -q --target "$directory/site" --only-binary=:all: $platforms --python-version 3.11 \
        --implementation cp --abi cp311 --upgrade numpy numba psutil pytest hypothesis
fi

# qemu's CPU looks "generic" to LLVM: without these, Numba would compile for a plain ARMv8.0. SVE is left out on purpose.
cd "$repository"
export PYTHONHOME="$directory/root/usr" PYTHONPATH="$directory/site:$repository" LD_LIBRARY_PATH=
export NUMBA_CPU_NAME=neoverse-n1 NUMBA_CPU_FEATURES=+neon,+dotprod XDG_CACHE_HOME="$directory/cache"
exec qemu-aarch64-static -cpu "${QEMU_CPU:-max}" -L "$directory/root" \
    "$directory/root/usr/bin/python3.11" -m pytest -o addopts=-q -p no:cacheprovider "${@:-tests/kernels}" \
    --ignore tests/kernels/test_code_cache.py --ignore tests/kernels/test_bus_error.py \
    --deselect tests/kernels/test_runtime.py::test_cache_that_cannot_be_written_is_replaced_by_a_private_one_or_none
