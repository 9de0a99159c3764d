"""What a run depends on besides code and parameters: installed packages and the machine."""

import platform
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

CPU_FACTS = Path("/proc/cpuinfo")
# What TensorFlow, NumPy and OpenCV choose their code by, strongest first.
INSTRUCTION_SETS = ("amx_tile", "avx512f", "avx2", "avx", "asimd")


def locked_versions(requirements: str) -> dict[str, str]:
    """Return package -> version of a compiled requirements file, of the lines meant for this Python and platform."""
    lines = [line.split(" \\")[0] for line in requirements.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    wanted = [Requirement(line) for line in lines]
    return {
        requirement.name: version.group(1)
        for requirement in wanted
        if (version := re.match(r"==(\S+)$", str(requirement.specifier)))
        and (requirement.marker is None or requirement.marker.evaluate())
    }


def installed_otherwise(locked: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """Return package -> (locked, installed version, None where it is not installed) of those that differ."""
    found = {name: (version, _installed(name)) for name, version in locked.items()}
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine() -> str:
    """Return the processor, its widest instruction set, the number of its cores and Python's version, as one line."""
    facts = CPU_FACTS.read_text() if CPU_FACTS.is_file() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", facts, re.MULTILINE)
    flags = set(facts.split())
    widest = next((name for name in INSTRUCTION_SETS if name in flags), "instruction set unknown")
    name = model.group(1) if model else platform.processor() or platform.machine()
    return f"{name} ({widest}), {facts.count('processor	:') or '?'} cores, Python {platform.python_version()}"
