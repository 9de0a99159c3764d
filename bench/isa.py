"""What stays equal from CPU to CPU? Twenty steps of training with oneDNN's instruction set capped, and not.

    python -m bench.isa                # compact_fine and resnet50; about ten minutes on two cores
    python -m bench.isa compact_fine   # one of them

A CPU of another make has other instructions, so oneDNN takes other kernels, which sum in another order. Each training
runs in a process of its own, from the same weights on the same images (phantoms), twice uncapped and once for each cap.
Prints and writes into bench/isa.json, by CPU model: the digest of the weights, the losses, and the largest relative
difference of a loss from the uncapped run's. Runs on other machines add their own entry.
"""

import argparse
from typing import Any

import numpy as np

from bench.machine import describe
from bench.turns import ROOT, Process, Way
from brain_mri.files import read_json, write_json

CAPS = {"uncapped": "DEFAULT", "uncapped again": "DEFAULT", "AVX2": "AVX2", "AVX512_CORE": "AVX512_CORE"}
SIZES = {"compact_fine": (96, 32), "resnet50": (200, 28)}  # pixels, images in a batch


def train(network: str, cap: str) -> dict[str, Any]:
    """Return the digest of the weights and the losses of a training in which oneDNN may use no more than this."""
    size, batch = SIZES[network]
    arguments = ("losses", "--network", network, "--size", size, "--batch", batch, "--steps", 20)
    with Process(Way(cap, "ours", arguments, environment={"ONEDNN_MAX_CPU_ISA": cap})) as process:
        process.answer()
        process.ask()
        return dict(process.answer()["result"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", choices=SIZES, help="default: both")
    chosen = parser.parse_args().network
    machine, file = describe(), ROOT / "bench/isa.json"
    cpu = "{cpu}, family {family[0]} model {family[1]}".format(**machine) + f", {' '.join(machine['flags'])}"
    known = read_json(file) if file.exists() else {}
    print(cpu)
    for network in [chosen] if chosen else SIZES:
        rows = known.setdefault(cpu, {}).setdefault(network, {})
        for name, cap in CAPS.items():
            rows[name] = train(network, cap)
            plain, own = (np.array(rows[which]["losses"]) for which in ("uncapped", name))
            rows[name]["largest_relative_difference"] = off = float((np.abs(own - plain) / plain).max())
            print(f"{network:14} {name:16} weights {rows[name]['weights']}  off by at most {off:.1e}", flush=True)
    write_json(file, known)


if __name__ == "__main__":
    main()
