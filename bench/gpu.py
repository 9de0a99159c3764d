"""Training on a GPU: images a second of studies' networks as this project trains them, beside a tuned PyTorch loop.

    KERAS_BACKEND=jax python -m bench.gpu studies/paper [STUDY ...]     needs JAX for the GPU, PyTorch and torchvision
    KERAS_BACKEND=jax python -m bench.gpu --no-pytorch STUDY ...

Ours is what `stages/train.py aug` runs: batches assembled and augmented on the CPU while the step before them computes,
in the study's precision and batch size; where a study moves lesions about, its images as they are. PyTorch trains its
ResNet-50 at the first study's size and batch in bfloat16: channels last, `torch.compile` with CUDA graphs, fused Adam,
all images on the GPU beforehand and not augmented, so whatever an input pipeline would cost it is left out. Images are
random numbers; each rate is the best of three rounds in turn, after the compilation.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from brain_mri.augmentation.policy import Policy
from brain_mri.errors import run
from brain_mri.images.examples import Examples
from brain_mri.network.batches import Batches, feed
from brain_mri.network.machine import set_up
from brain_mri.network.model import build
from brain_mri.network.objective import compile_for_training
from brain_mri.params import Params, load_params

STEPS, ROUNDS = 80, 3
PYTORCH = "PyTorch, ResNet-50"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--no-pytorch", action="store_true")
    options = parser.parse_args()
    rounds = {str(study): ours(load_params(study / "params.yaml")) for study in options.studies}
    if not options.no_pytorch:
        first = load_params(options.studies[0] / "params.yaml")
        rounds[PYTORCH] = pytorch(first.model.image_size, first.train.batch_size)
    rates = dict.fromkeys(rounds, 0.0)
    for _ in range(ROUNDS):
        rates = {name: max(rates[name], measure()) for name, measure in rounds.items()}
    for name, rate in rates.items():
        beside = f", {rate / rates[PYTORCH]:.2f} of PyTorch's" if PYTORCH in rates else ""
        print(f"{name}: {rate:,.0f} images/s{beside}", flush=True)


def ours(params: Params) -> Callable[[], float]:
    """Compile the study's step; return what measures a round of it in images a second."""
    settings, size = params.train, params.model.image_size
    set_up(settings.threads, settings.deterministic, settings.precision)
    lesions = params.model.architecture.lesion_map
    negative = params.dataset.negative_class if lesions else None
    count, rng = settings.batch_size * STEPS, np.random.default_rng(0)
    examples = Examples(rng.integers(0, 256, (count, size, size, 1), np.uint8), np.arange(count) % 4)
    if lesions:
        examples.masks, examples.outlined = np.zeros((count, size, size), bool), np.ones(count, bool)
    augments = not (lesions or params.augment.counterfactual.changes_any)
    draw = Policy(examples, params).draw if augments else lambda indices, epoch: examples[indices]
    model = build(params.model.model_copy(update={"weights": "none"}), 4, 0, negative)
    trainee = compile_for_training(model, settings, STEPS, negative)

    def train(epoch: int = 0) -> float:
        start, order = time.perf_counter(), rng.permutation(count)
        batches = Batches(draw, 4, order, settings.batch_size, epoch, negative)
        trainee.fit(feed(batches), shuffle=False, verbose=0)
        return count / (time.perf_counter() - start)

    train()
    return train


def pytorch(size: int, batch: int) -> Callable[[], float]:
    """Compile PyTorch's step; return what measures a round of it in images a second."""
    import torch
    from torchvision.models import resnet50

    torch.backends.cudnn.benchmark = True
    images = torch.randint(0, 256, (batch * STEPS, 1, size, size), dtype=torch.uint8, device="cuda")
    labels = torch.arange(batch * STEPS, device="cuda") % 4
    model = resnet50(num_classes=4)
    model.fc = torch.nn.Sequential(torch.nn.Dropout(0.4), model.fc)
    model = model.cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    compiled = torch.compile(model, mode="reduce-overhead")

    def train() -> float:
        start = time.perf_counter()
        for rows in torch.randperm(batch * STEPS, device="cuda").split(batch):
            shown = (images[rows].expand(-1, 3, -1, -1) / 255).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cuda", torch.bfloat16):
                loss = torch.nn.functional.cross_entropy(compiled(shown), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()
        return batch * STEPS / (time.perf_counter() - start)

    train()
    return train


if __name__ == "__main__":
    run(main)
