"""What changes the last digits of floating-point results: BLAS, threads, SIMD, libc."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

LIBRARIES = ("numpy", "torch")
"""Libraries whose numerics are looked at where they are loaded."""

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "BLIS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "GOTO_NUM_THREADS",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMEXPR_NUM_THREADS",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_SIMD = ("sse", "ssse", "avx", "fma", "f16c", "amx", "neon", "asimd", "sve", "fphp", "bf16")


def loaded() -> tuple[str, ...]:
    """Which of the numeric libraries are in memory."""
    return tuple(name for name in LIBRARIES if name in sys.modules)


def numerics(environ: Mapping[str, str], libraries: tuple[str, ...]) -> dict[str, str]:
    """The items of the numeric digest, for the `libraries` that the job has loaded."""
    found = {"simd": " ".join(sorted(_cpu_flags()))}
    try:
        found["libc"] = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError):
        found["libc"] = "unknown"
    for name in VARIABLES:
        if name in environ:
            found[f"variable/{name}"] = environ[name]
    if libraries:
        found["cpus"] = str(_cpus())
        found.update(_thread_pools())
    if "numpy" in libraries:
        found.update(_numpy(sys.modules["numpy"]))
    if "torch" in libraries:
        found.update(_torch(sys.modules["torch"]))
    return found


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_flags() -> Iterator[str]:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip().lower() in ("flags", "features"):
                    yield from {flag for flag in value.split() if flag.startswith(_SIMD)}
                    return
    except OSError:
        return


def _thread_pools() -> dict[str, str]:
    """BLAS and OpenMP libraries in memory, where threadpoolctl is installed."""
    try:
        pools = importlib.import_module("threadpoolctl").threadpool_info()
    except Exception:  # noqa: BLE001 - it looks into other libraries; the snapshot goes on without
        return {}
    found: dict[str, str] = {}
    wanted = ("version", "architecture", "threading_layer", "num_threads")
    for pool in pools:
        told = [f"{name}={pool[name]}" for name in wanted if pool.get(name) is not None]
        item = f"threads/{pool.get('user_api')}/{pool.get('internal_api')}"
        found[item] = "; ".join(sorted({*found.get(item, "").split("; "), " ".join(told)} - {""}))
    return found


def _numpy(numpy: Any) -> dict[str, str]:
    found = {}
    try:
        blas = numpy.__config__.CONFIG["Build Dependencies"]["blas"]
        found["numpy/blas"] = f"{blas.get('name')} {blas.get('version')}"
    except (AttributeError, KeyError, TypeError):
        pass
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        features = getattr(sys.modules.get(name), "__cpu_features__", None)
        if isinstance(features, dict):
            found["numpy/simd"] = " ".join(sorted(key for key, on in features.items() if on))
            break
    return found


def _torch(torch: Any) -> dict[str, str]:
    found = {}
    try:
        found["torch/threads"] = str(torch.get_num_threads())
        found["torch/cuda"] = str(torch.version.cuda)
        found["torch/deterministic"] = str(torch.are_deterministic_algorithms_enabled())
        if torch.cuda.is_initialized():
            found["torch/device"] = str(torch.cuda.get_device_name())
    except (AttributeError, RuntimeError):
        pass
    return found
