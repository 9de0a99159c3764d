"""Crop, resize and write a folder's images in the paper author's way: one loop, the contour as imutils users find it.

python -m bench.peers.crop_loop IMAGES FOLDER
"""

import sys
from pathlib import Path

import cv2

from bench.answering import serve


def crop_img(img):
    gray = cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)
    gray = cv2.GaussianBlur(gray, (5, 5), 0)
    thresh = cv2.threshold(gray, 45, 255, cv2.THRESH_BINARY)[1]
    thresh = cv2.erode(thresh, None, iterations=2)
    thresh = cv2.dilate(thresh, None, iterations=2)
    cnts = cv2.findContours(thresh.copy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not cnts:
        return img
    c = max(cnts, key=cv2.contourArea)
    left = tuple(c[c[:, :, 0].argmin()][0])
    right = tuple(c[c[:, :, 0].argmax()][0])
    top = tuple(c[c[:, :, 1].argmin()][0])
    bottom = tuple(c[c[:, :, 1].argmax()][0])
    return img[top[1] : bottom[1], left[0] : right[0]].copy()


def write_all(images, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(images.iterdir()):
        img = cv2.imread(str(path))
        new_img = crop_img(img)
        new_img = cv2.resize(new_img, (200, 200))
        cv2.imwrite(str(folder / path.name), new_img)


if __name__ == "__main__":
    images, folder = map(Path, sys.argv[1:])
    serve(lambda: write_all(images, folder))
