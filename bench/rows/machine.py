"""What the numbers hold for: the machine, the versions, the commit."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rows.running import ROOT

FLAGS = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"]
FLAGS += ["amx_tile", "amx_int8", "amx_bf16"]
PACKAGES = ("numpy", "opencv-python-headless", "keras", "tensorflow", "jax", "torch", "torchvision")
VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": sys.version.split()[0]}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def describe(peers: list[str]) -> dict[str, Any]:
    """Return the facts, as they are before anything is measured."""
    facts = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    values = dict(line.split(":", 1) for line in facts.splitlines() if ":" in line)
    cpu = {key.strip(): value.strip() for key, value in values.items()}
    flags = cpu.get("flags", "").split()
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "family": [int(cpu[key]) for key in ("cpu family", "model", "stepping") if key in cpu],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "versions": {"this project": versions(sys.executable)}
        | {f"peers {place}": versions(path) for place, path in enumerate(peers, start=1)},
    }


def versions(interpreter: str) -> dict[str, str]:
    done = subprocess.run([interpreter, "-c", VERSIONS, *PACKAGES], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def commit() -> str:
    """Return the commit, with a mark where tracked files differ from it; "unknown" outside a repository."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    head = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "stages", "bench")
    return (head + " with changes" * bool(changed)) or "unknown"
