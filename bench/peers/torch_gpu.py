"""A tuned PyTorch loop on a GPU: torchvision's ResNet-50, channels last, bfloat16, `torch.compile` with CUDA graphs,
fused Adam. All images are on the GPU beforehand and not augmented: what an input pipeline would cost is left out.

python -m bench.peers.torch_gpu SIZE BATCH IMAGES
"""

import sys

import torch
from torch import nn
from torchvision.models import resnet50

from bench.answering import serve

size, batch, count = map(int, sys.argv[1:])

torch.backends.cudnn.benchmark = True
images = torch.randint(0, 256, (count, 1, size, size), dtype=torch.uint8, device="cuda")
labels = torch.arange(count, device="cuda") % 4
model = resnet50(weights=None)
model.fc = nn.Sequential(nn.Dropout(0.4), nn.Linear(2048, 4))
model = model.cuda().to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
compiled = torch.compile(model, mode="reduce-overhead")


def epoch():
    for rows in torch.randperm(count, device="cuda").split(batch):
        shown = (images[rows].expand(-1, 3, -1, -1) / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16):
            loss = nn.functional.cross_entropy(compiled(shown), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.cuda.synchronize()


epoch()
serve(epoch)
