"""What stays equal from CPU to CPU? Twenty steps of training with oneDNN's instruction set capped, and not.

    python bench/isa.py                # compact_fine and resnet50; about ten minutes on two cores
    python bench/isa.py compact_fine   # one of them

A CPU of another make has other instructions, so oneDNN takes other kernels, which sum in another order. Each training
runs in a process of its own, from the same weights on the same images (phantoms), twice uncapped and once for each cap.
Prints and writes into bench/isa.json, by CPU model: the digest of the weights, the losses, and the largest relative
difference of a loss from the uncapped run's. Runs on other machines add their own entry.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stages"))

from rows import machine
from rows.running import Process, Way
from rows.step import Case

from brain_mri.files import read_json, write_json

CAPS = {"uncapped": "DEFAULT", "uncapped again": "DEFAULT", "AVX2": "AVX2", "AVX512_CORE": "AVX512_CORE"}
CASES = {case.network: case for case in (Case("compact_fine", ".", 96, 32, 20), Case("resnet50", ".", 200, 28, 20))}


def train(case: Case, cap: str) -> dict[str, Any]:
    """Return the digest of the weights and the losses of a training in which oneDNN may use no more than this."""
    way = Way(cap, "isa_ours.py", case.arguments(), environment={"ONEDNN_MAX_CPU_ISA": cap})
    with Process(way, sys.executable) as process:
        process.answer()
        return process.ask("run")["result"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="network", help=f"{', '.join(CASES)}; default: all")
    networks = parser.parse_args().networks or list(CASES)
    if unknown := set(networks) - set(CASES):
        parser.error(f"no network {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    about, file = machine.describe([]), Path(__file__).resolve().parent / "isa.json"
    family, model, _ = about["family"]
    cpu = f"{about['cpu']}, family {family} model {model}, {' '.join(about['flags'])}"
    known = read_json(file) if file.exists() else {}
    print(cpu)
    for network in networks:
        rows = known.setdefault(cpu, {}).setdefault(network, {})
        for name, cap in CAPS.items():
            rows[name] = train(CASES[network], cap)
            plain, own = (np.array(rows[which]["losses"]) for which in ("uncapped", name))
            rows[name]["largest_relative_difference"] = off = float((np.abs(own - plain) / plain).max())
            print(f"{network:14} {name:16} weights {rows[name]['weights']}  off by at most {off:.1e}", flush=True)
    write_json(file, known)


if __name__ == "__main__":
    main()
