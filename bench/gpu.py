"""A training step of the paper's ResNet-50 on a GPU, in bfloat16, against a tuned PyTorch loop.

    KERAS_BACKEND=jax python -m bench.gpu [--peers PYTHON]     needs JAX for the GPU, PyTorch and torchvision

Ours assembles and augments its batches on the CPU while the step before them computes, as `stages/train.py aug` does.
Both are measured by turns, as `bench.speed` does it, from which the network's size and batch come.
"""

import argparse
from dataclasses import replace

from bench.speed import Line, Settings, case, rate
from bench.turns import Failed, Way, take_turns
from brain_mri.errors import UserError, run

TORCH = "PyTorch, channels last, bfloat16, compiled"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="an interpreter with PyTorch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="everything small; the numbers mean nothing")
    settings = Settings(**vars(parser.parse_args()))
    one = replace(case("resnet50", settings), steps=2 if settings.quick else 80)
    images = one.batch * one.steps
    ours = ("step", *one.arguments, "--precision", "mixed_bfloat16", "--pipeline", "aug")
    ways = [
        # JAX would keep three quarters of the GPU's memory for itself.
        Way("ours", "ours", ours, environment={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}),
        Way(TORCH, "peers.torch_gpu", (one.size, one.batch, images), ("torch", "torchvision")),
    ]
    try:
        found = take_turns(ways, settings.repeats, settings.peers)
    except Failed as failed:
        raise UserError(str(failed)) from None
    line = Line(f"step: {one}, bfloat16", "images/s", rate(found["ours"], images), TORCH, rate(found[TORCH], images))
    print("| what | ours | other | the other's | ratio |\n|---|---|---|---|---|")
    print(f"| {' | '.join(line.cells())} |")


if __name__ == "__main__":
    run(main)
