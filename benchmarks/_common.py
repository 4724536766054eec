"""What benchmark scripts share: timing side by side, peak memory, and one JSON line a result."""

import argparse
import json
import multiprocessing
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any


def arguments(description: str, **defaults: Any) -> argparse.Namespace:
    """Parse the command line: `--quick`, and an option for each default, of its type.

    `arguments(__doc__, n_seeds=3)` adds `--n-seeds`, an int.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smaller run, to see that it works")
    for name, default in defaults.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(default), default=default, help=" "
        )
    return parser.parse_args()


def alternate(
    functions: dict[str, Callable[[], Any]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each function, called in turn after a warm-up of each.

    Calls alternate so that what else the machine does falls on all functions alike: compare
    figures of one run only. `clock` may be `time.process_time` for functions of one thread.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(bench: str, **figures: Any) -> None:
    """Print one JSON line: the benchmark's name, then its figures by key, to 4 digits."""
    row = {"bench": bench} | {key: _rounded(figures[key]) for key in sorted(figures)}
    print(json.dumps(row), flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    value = value.item() if hasattr(value, "item") else value  # numpy and torch scalars
    return float(f"{value:.4g}") if isinstance(value, float) else value


def peak_mb(
    function: Callable[..., Any], *, prepare: Callable[[], Any] | None = None, timeout: float = 1800
) -> float:
    """Return the peak resident memory of a call above its start, in MB of 2**20 bytes.

    The call runs in a fresh process, so both callables must be picklable: functions at the top of
    a script that has a `__main__` guard, or `functools.partial` of them. `prepare` makes the input
    in that process; its value is passed to `function` and does not count. Linux only.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, function, prepare))
    process.start()
    sender.close()  # so that a child that dies ends the wait below with EOFError
    try:
        if not receiver.poll(timeout):
            raise TimeoutError(f"{function} did not return within {timeout} s")
        return receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the process of {function} ended with {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _measure(sender: Any, function: Callable[..., Any], prepare: Callable[[], Any] | None) -> None:
    inputs = () if prepare is None else (prepare(),)
    # Forget the peak so far, which `prepare` or an import may have set. Not ru_maxrss: it cannot be
    # reset, and a child begins with its parent's.
    Path("/proc/self/clear_refs").write_text("5")
    start = _status_kb("VmRSS")
    function(*inputs)
    sender.send((_status_kb("VmHWM") - start) / 1024)


def _status_kb(field: str) -> int:
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1))


def environment() -> dict[str, Any]:
    """Return the machine and the versions that a figure depends on."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "sklearn": version("scikit-learn"),
    }


if __name__ == "__main__":
    report("environment", **environment())
