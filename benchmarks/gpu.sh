#!/usr/bin/env bash
# Tests and benchmarks on a machine with one CUDA GPU, in less than eight minutes:
#
#     bash benchmarks/gpu.sh [gpu.json]
#
# PYTHON names the interpreter (default: python), with skrec and its extra `test` installed, and a
# build of torch for CUDA. The results are lines of JSON, those of `benchmarks/bench_gpu.py`, and one
# with the last line of the tests. The tests use the GPU where `device="auto"` finds it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python}
results=$(realpath -m "${1:-gpu.json}")
: >"$results"

"$python" -c "import torch; assert torch.cuda.is_available(), 'no CUDA GPU was found'" || exit 1

step() { # seconds, command: append its lines of JSON to the results; go on if it fails
    local limit=$1
    shift
    echo "== $*" >&2
    timeout "$limit" "$@" | tee /dev/stderr | grep '^{' >>"$results"
    local status=${PIPESTATUS[0]}
    if ((status)); then
        printf '{"bench": "gpu.sh", "command": "%s", "status": %d}\n' "$*" "$status" >>"$results"
    fi
}

step 60 "$python" benchmarks/bench_gpu.py --parts training
step 60 "$python" benchmarks/bench_gpu.py --parts lists
step 180 "$python" benchmarks/bench_gpu.py --parts split
echo "== the fast tests" >&2
summary=$(timeout 170 "$python" -m pytest -q -n 8 -p no:cacheprovider tests 2>&1 | tail -n 1)
printf '{"bench": "fast tests", "summary": "%s"}\n' "$summary" >>"$results"
cat "$results"
