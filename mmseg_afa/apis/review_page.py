# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write the review page: one HTML file that needs no server and no network."""
import hashlib
import json
import os
import secrets
from base64 import b64encode
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import cv2
import mmcv
import numpy as np

from ..datasets.mask_file import PALETTE, encode_mask
from ..datasets.transforms.load_image import LoadWeakImage
from ..utils import progress, replacing
from ..visualization.pictures import first_painted
from .photo_mask import PhotoMask, table_rows, uncertainty
from .photos import Photo

TEMPLATE = Path(__file__).with_name('review.html')
LONG_SIDE = 800  # pixels of a photo, at most: 300 photos are below 60 MB
QUALITY = 80  # of the JPEG files
LEVELS = 16  # of the confidence
SCALE = cv2.applyColorMap(
    np.linspace(0, 255, LEVELS).astype(np.uint8)[:, None],
    cv2.COLORMAP_VIRIDIS)[:, 0, ::-1].tolist()


def write_review_page(
        path: Path,
        masks: Sequence[PhotoMask],
        settings: bytes,
        confidence: Optional[Callable[[Photo], Path]] = None) -> None:
    """Write the page photo by photo, completely or not at all.

    Args:
        path (Path): The file.
        masks (Sequence[PhotoMask]): The masks, in the order of the page.
        settings (bytes): Settings of the masks. The browser keeps the marks
            for a path and its settings: those of an older run are not shown.
        confidence (Callable, optional): Locate the confidence of a photo.
    """
    template = TEMPLATE.read_text(encoding='utf-8')
    template = template.replace('NONCE', secrets.token_hex(16))
    before, after = template.split('DATA\n')
    colours = dict(unsure=css(PALETTE[-3:]))
    for mask in masks[:1]:
        start = first_painted(mask.classes)
        for name, colour in list(zip(mask.classes, mask.palette))[start:]:
            colours[name] = css(colour)
    key = hashlib.sha256(os.fsencode(path.resolve()) + settings)
    page = dict(
        key=key.hexdigest(),
        colours=colours,
        confidence=[css(colour) for colour in SCALE] if confidence else [])
    with replacing(path) as unfinished, \
            open(unfinished, 'w', encoding='utf-8') as file:
        file.write(before + block('page', page))
        for mask in progress(masks, path.name):
            record = mask.record()
            facts = dict(
                name=mask.photo.name,
                doubt=uncertainty(record),
                tags=', '.join(record.tags or ()),
                mask=Path(os.path.relpath(mask.path, path.parent)).as_posix(),
                classes=list(table_rows(record)))
            layers = draw_layers(mask, confidence and confidence(mask.photo))
            file.write(block('record', facts) + block('images', layers))
        file.write(after)


def css(colour: Sequence[int]) -> str:
    """Write a colour, [R, G, B], as a style sheet does."""
    return 'rgb({}, {}, {})'.format(*colour)


def block(name: str, content: Any) -> str:
    """Write JSON into an element that no browser runs."""
    text = json.dumps(content).replace('<', '\\u003c')
    return f'<script type="application/json" class="{name}">{text}</script>\n'


def draw_layers(mask: PhotoMask, confidence: Optional[Path]) -> dict:
    """Encode a photo, its mask and its confidence, all of one size."""
    photo = LoadWeakImage()(dict(img_path=mask.photo.path))['img']
    photo = mmcv.imrescale(photo, min(1, LONG_SIDE / max(photo.shape[:2])))
    jpeg = cv2.imencode('.jpg', photo, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    hidden = 0 if first_painted(mask.classes) else None
    size = photo.shape[1::-1]
    label = mmcv.imresize(mask.read(), size, interpolation='nearest')
    layers = dict(
        photo=address('jpeg', jpeg.tobytes()),
        mask=address('png', encode_mask(label, mask.palette, None, hidden)))
    if confidence:
        share = mmcv.imresize(mmcv.imread(confidence, 'grayscale'), size)
        levels = np.rint(share / 255 * (LEVELS - 1)).astype(np.uint8)
        layers['confidence'] = address('png', encode_mask(levels, SCALE))
    return layers


def address(kind: str, content: bytes) -> str:
    """Put a picture into its address."""
    return f'data:image/{kind};base64,{b64encode(content).decode()}'
