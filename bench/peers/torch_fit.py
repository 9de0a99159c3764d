"""A loop of plain PyTorch, as its users write it: torchvision's ResNet-50, channels last, bfloat16 by autocast.

python -m bench.peers.torch_fit SIZE BATCH IMAGES
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet50

from bench.answering import serve

size, batch, count = map(int, sys.argv[1:])

torch.manual_seed(0)
model = resnet50(weights=None)
model.fc = nn.Sequential(nn.Dropout(0.4), nn.Linear(2048, 4))
model = model.to(memory_format=torch.channels_last)
model.train()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
criterion = nn.CrossEntropyLoss()
data = TensorDataset(torch.rand(count, 3, size, size), torch.randint(0, 4, (count,)))
loader = DataLoader(data, batch_size=batch, shuffle=True)


def epoch():
    running = 0.0
    for images, labels in loader:
        images = images.to(memory_format=torch.channels_last)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()


epoch()
serve(epoch)
