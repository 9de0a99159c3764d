"""What a run depends on besides code and parameters: installed packages and the machine."""

import platform
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

CPU_FACTS = Path("/proc/cpuinfo")
# What TensorFlow, NumPy and OpenCV choose their code by, strongest first.
INSTRUCTION_SETS = ("amx_tile", "avx512f", "avx2", "avx", "asimd")


def installed_otherwise(requirements: str) -> list[list[str]]:
    """Return [package, locked version, installed version] of those that differ from a compiled requirements file, by
    name; only its lines meant for this Python and platform count."""
    found = []
    for line in re.findall(r"^[A-Za-z0-9][^\\\n]*", requirements, re.MULTILINE):
        requirement = Requirement(line)
        locked = re.fullmatch(r"==(\S+)", str(requirement.specifier))
        if locked and (requirement.marker is None or requirement.marker.evaluate()):
            installed = _installed(requirement.name)
            if installed != locked[1]:
                found.append([requirement.name, locked[1], installed])
    return sorted(found)


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def machine() -> str:
    """Return the processor, its widest instruction set, the number of its cores and Python's version, as one line."""
    facts = CPU_FACTS.read_text() if CPU_FACTS.is_file() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", facts, re.MULTILINE)
    flags = set(facts.split())
    widest = next((name for name in INSTRUCTION_SETS if name in flags), "instruction set unknown")
    name = model.group(1) if model else platform.processor() or platform.machine()
    return f"{name} ({widest}), {facts.count('processor	:') or '?'} cores, Python {platform.python_version()}"
