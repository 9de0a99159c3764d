"""A loop of plain PyTorch, as its users write it: torchvision's ResNet-50; --bfloat16: channels last and autocast."""

import serving  # isort: skip  # it takes stdout before anything prints

import argparse
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet50

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--size", type=int, required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--images", type=int, required=True)
parser.add_argument("--bfloat16", action="store_true")
options = parser.parse_args()

torch.manual_seed(0)
model = resnet50(weights=None)
model.fc = nn.Sequential(nn.Dropout(0.4), nn.Linear(2048, 4))
if options.bfloat16:
    model = model.to(memory_format=torch.channels_last)
model.train()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
criterion = nn.CrossEntropyLoss()
data = TensorDataset(torch.rand(options.images, 3, options.size, options.size), torch.randint(0, 4, (options.images,)))
loader = DataLoader(data, batch_size=options.batch, shuffle=True)


def epoch():
    running = 0.0
    for images, labels in loader:
        if options.bfloat16:
            images = images.to(memory_format=torch.channels_last)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
            loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()


def matmul():
    side = 4096
    one = torch.randn(side, side).to(torch.bfloat16 if options.bfloat16 else torch.float32)
    seconds = []
    for _ in range(6):
        begin = time.perf_counter()
        (one @ one)[0, 0].item()
        seconds.append(time.perf_counter() - begin)
    return 2 * side**3 / min(seconds) / 1e9


epoch()
serving.serve(epoch, matmul=matmul)
