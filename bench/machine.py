"""What the numbers hold for: the machine and the commit, whose locks name the versions."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.turns import ROOT
from brain_mri.studies.git import git

FLAGS = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16"]


def describe() -> dict[str, Any]:
    """Return the facts, as they are before anything is measured."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    cpu = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "family": [int(cpu[key]) for key in ("cpu family", "model", "stepping") if key in cpu],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in cpu.get("flags", "").split()],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
    }


def commit() -> str:
    """Return the commit, with a mark where tracked files differ from it; "unknown" outside a repository."""
    changed = git(ROOT, "status", "--porcelain", "--untracked-files=no", "--", "brain_mri", "stages", "bench")
    head = git(ROOT, "rev-parse", "--short=12", "HEAD")
    return head + " with changes" * bool(changed) if head else "unknown"
