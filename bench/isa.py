"""What stays equal from CPU to CPU? Twenty steps of training with oneDNN's instruction set capped, and not.

    python bench/isa.py                # compact_fine and resnet50; about ten minutes on two cores
    python bench/isa.py compact_fine   # one of them

A CPU of another make has other instructions, so oneDNN takes other kernels, which sum in another order. Each training
runs in a process of its own, from the same weights on the same images (phantoms), twice uncapped and once for each cap.
Prints and writes into bench/isa.json, by CPU model: the digest of the weights, the losses, and the largest relative
difference of a loss from the uncapped run's. Runs on other machines add their own entry.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "stages"))

STEPS = 20
CAPS = ("uncapped", "uncapped again", "AVX2", "AVX512_CORE")
NETWORKS = {"compact_fine": (96, 32), "resnet50": (200, 28)}  # image size, batch


def train(network: str) -> dict:
    """Twenty steps as the engine takes them; the digest of the weights and the mean loss after every fifth."""
    from core.network.batches import Batches, Examples
    from core.network.machine import set_up
    from core.network.model import build
    from core.network.objective import Recipe, compile_for_training
    from core.network.resume import values_of
    from core.sources.phantom import CLASSES, phantom

    size, batch = NETWORKS[network]
    set_up(2)
    drawn = [phantom(CLASSES[index % len(CLASSES)], 0, index).image for index in range(batch)]
    import cv2

    images = np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in drawn])[..., None]
    examples = Examples(images, np.arange(batch) % len(CLASSES))
    model = build(network, size, len(CLASSES), 0.4, 0.9, "none", None, 1)
    recipe = Recipe(
        seed=1, epochs=1, batch_size=batch, accumulate=1, optimizer="adam", learning_rate=1e-4, weight_decay=0.0,
        schedule="plateau", warmup_epochs=0, plateau_factor=0.5, plateau_patience=10, plateau_min_learning_rate=1e-5,
        early_stopping_patience=10, label_smoothing=0.0, lesion_map=0.0, jit=False, checkpoint_minutes=5.0,
    )  # fmt: skip
    trainee = compile_for_training(model, recipe, STEPS)
    losses = []
    for step in range(STEPS):
        one = Batches(lambda places, epoch: examples[places], len(CLASSES), np.arange(batch), batch, epoch=step)
        losses.append(float(trainee.fit(one, shuffle=False, verbose=0).history["loss"][0]))
    digest = hashlib.sha256()
    for values in values_of(trainee.weights):
        digest.update(np.ascontiguousarray(values))
    return {"weights": digest.hexdigest()[:16], "losses": losses}


def run_capped(network: str, cap: str) -> dict:
    environment = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    if not cap.startswith("uncapped"):
        environment["ONEDNN_MAX_CPU_ISA"] = cap
    done = subprocess.run(
        [sys.executable, __file__, "--train", network], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def cpu_model() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    values = dict(map(str.strip, line.split(":", 1)) for line in facts if ":" in line)
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in values["flags"].split()]
    return f"{values['model name']}, family {values['cpu family']} model {values['model']}, {' '.join(flags)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="default: all")
    parser.add_argument("--train", choices=list(NETWORKS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        print(json.dumps(train(arguments.train)))
        return
    from core.files import write_json

    file, cpu = HERE / "isa.json", cpu_model()
    known = json.loads(file.read_text()) if file.exists() else {}
    print(cpu)
    for network in arguments.networks:
        rows = known.setdefault(cpu, {}).setdefault(network, {})
        for cap in CAPS:
            rows[cap] = run_capped(network, cap)
            plain, own = (np.array(rows[name]["losses"]) for name in ("uncapped", cap))
            rows[cap]["largest_relative_difference"] = float((np.abs(own - plain) / plain).max())
            print(
                f"{network:14} {cap:16} weights {rows[cap]['weights']}  last loss {own[-1]:.6f}  "
                f"off by at most {rows[cap]['largest_relative_difference']:.1e}",
                flush=True,
            )
    write_json(file, known)


if __name__ == "__main__":
    main()
