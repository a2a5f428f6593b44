"""The machine: recorded for people, never compared."""

from __future__ import annotations

import os
import sys


def host() -> dict[str, str]:
    """Kernel, processor, name, cores, and where the interpreter lies."""
    system = os.uname()
    return {
        "hostname": system.nodename,
        "kernel": f"{system.sysname} {system.release}",
        "cpu": _cpu_model() or system.machine,
        "cores": str(os.cpu_count() or 0),
        "executable": sys.executable,
        "prefix": sys.prefix,
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip().lower() in ("model name", "cpu model"):
                    return value.strip()
    except OSError:
        return ""
    return ""
