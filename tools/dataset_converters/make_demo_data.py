# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw the demo data set: tags for training, masks for validation only.

The scenes are made so that an image classifier has an easy time and its CAM
has not. Every object is a body with limbs and a head. Limbs and tail have
random colours and textures that tell nothing; the class shows in the mark on
the head and in stripes or spots of a vivid colour on the body, of which any
piece is enough to tell it. The full extent of an object shows in edges and in
the likeness of its own regions, which is what affinity learning and
pixel-adaptive refinement feed on.

The layout is that of VOC 2012::

    OUT/JPEGImages/{train,val}_000000.jpg
    OUT/SegmentationClassAug/val_000000.png    class indices, 0 = background
    OUT/ImageSets/Segmentation/{trainaug,val}.txt
    OUT/image_labels.txt                       tags of the training images
    OUT/parameters.json                        what the set was made from
"""
import argparse
import json
import math
import os
import signal
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np

from mmseg_afa.utils import parallel_map

SPLITS = ('train', 'val')

# Raised whenever a change of the drawing code changes the images, so that a
# folder written by an older recipe is not taken for a current one.
RECIPE = 3

# Scenes are drawn at twice their size and shrunk: smooth edges for free.
SUPERSAMPLING = 2
JPEG_QUALITY = 90
# Standard deviation of a camera's noise, in grey levels.
GRAIN = 3
PLACING_ATTEMPTS = 20


# ------------------------------------------------------------------ colours
def random_colour(rng, saturation, value, hue=(0, 360)):
    """Draw a BGR colour.

    Args:
        rng (np.random.Generator): Source of randomness.
        saturation (tuple[float]): Lowest and highest HSV saturation, 0 to 1.
        value (tuple[float]): Lowest and highest HSV value, 0 to 1.
        hue (tuple[float]): Lowest and highest hue in degrees.

    Returns:
        np.ndarray: float32 of shape (3, ), from 0 to 255.
    """
    hsv = [rng.uniform(*span) for span in (hue, saturation, value)]
    return cv2.cvtColor(np.float32([[hsv]]), cv2.COLOR_HSV2BGR)[0, 0] * 255


def vary(rng, colour, amount):
    """Shift a colour, so that two of them make a texture of one hue family.

    Args:
        rng (np.random.Generator): Source of randomness.
        colour (np.ndarray): BGR of shape (3, ), from 0 to 255.
        amount (tuple[float]): Smallest and largest change of brightness, as a
            fraction; half of it is added to each channel on its own.

    Returns:
        np.ndarray: float32 of shape (3, ), from 0 to 255.
    """
    brightness = rng.choice((-1, 1)) * rng.uniform(*amount)
    tint = rng.uniform(-0.5, 0.5, 3) * amount[1]
    return np.clip(colour * (1 + brightness + tint), 0, 255).astype('f4')


# ----------------------------------------------------------------- textures
def gradient(rng, shape):
    """A ramp in a random direction, (H, W) in [0, 1]."""
    angle = rng.uniform(0, math.tau)
    rows, cols = np.indices(shape, dtype='f4')
    ramp = math.cos(angle) * rows + math.sin(angle) * cols
    return (ramp - ramp.min()) / np.ptp(ramp)


def noise(rng, shape):
    """Smooth noise of two octaves, (H, W) in [0, 1]."""
    cell = rng.uniform(6, 30)
    total = np.zeros(shape, 'f4')
    for weight, size in ((0.65, cell), (0.35, cell / 3)):
        grid = np.ceil(np.array(shape) / size).astype(int) + 1
        values = rng.random(grid, 'f4')
        total += weight * cv2.resize(values, shape[::-1])
    return total


def stripes(rng, shape):
    """Soft stripes in a random direction, (H, W) in [0, 1]."""
    angle, period = rng.uniform(0, math.pi), rng.uniform(8, 28)
    rows, cols = np.indices(shape, dtype='f4')
    ramp = math.cos(angle) * rows + math.sin(angle) * cols
    phase = rng.uniform(0, period)
    return 0.5 + 0.5 * np.tanh(2 * np.sin((ramp + phase) * math.tau / period))


def spots(rng, shape):
    """Blotches with soft edges, (H, W) in [0, 1]."""
    field = noise(rng, shape)
    return 0.5 + 0.5 * np.tanh(14 * (field - rng.uniform(0.45, 0.6)))


PATTERNS = (gradient, noise, stripes, spots)


def texture(rng, shape, colour, contrast):
    """Blend a colour and a variation of it by a random pattern.

    Args:
        rng (np.random.Generator): Source of randomness.
        shape (tuple[int]): Height and width.
        colour (np.ndarray): BGR of shape (3, ), from 0 to 255.
        contrast (tuple[float]): The amount that :func:`vary` takes.

    Returns:
        np.ndarray: float32 of shape (H, W, 3), about 0 to 255.
    """
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, shape)
    other = vary(rng, colour, contrast)
    return cv2.merge([a + pattern * (b - a) for a, b in zip(colour, other)])


# ------------------------------------------------------------------- shapes
def disc(centre=(0, 0), radius=1.0, corners=24):
    """A regular polygon around ``centre``, (corners, 2)."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1) + centre


def star(outer, inner, spikes):
    """A star around the origin, (2 * spikes, 2)."""
    points = disc(corners=2 * spikes)
    points[::2] *= outer
    points[1::2] *= inner
    return points


def band(low, high):
    """The slice of the unit disc with ``low <= y <= high``, (N, 2)."""
    return np.clip(disc(corners=48), (-1, low), (1, high))


def bar(start, end, width):
    """A straight bar between two points, (4, 2)."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]]) * width / 2
    return np.stack([start + side, end + side, end - side, start - side])


def rotation(angle):
    """The matrix that turns row vectors by ``angle`` radians, (2, 2)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


# -------------------------------------------------------------- class marks
# A mark is a list of (tone, polygon). Polygons are in units of the head's
# radius, with the head's centre at the origin and x pointing away from the
# body; later ones lie on top. Tones: 'dark', 'vivid' for the hue of the class,
# 'body' for the body's own texture, and 'coat' for that with vivid markings.
def owl_mark():
    """Two large light eyes and a beak."""
    mark = []
    for side in (-1, 1):
        eye = (0.1, side * 0.52)
        mark += [('vivid', disc(eye, 0.52)), ('dark', disc(eye, 0.24))]
    return mark + [('dark', np.array([[0.3, -0.2], [0.3, 0.2], [1.1, 0]]))]


def badger_mark():
    """Broad stripes along the face."""
    return [('vivid', disc())] + [('dark', band(y - 0.2, y + 0.2))
                                  for y in (-0.55, 0.55)]


def lion_mark():
    """A face inside a mane of spikes."""
    return [('dark', star(1.55, 0.95, 9)), ('vivid', star(1.2, 0.75, 9)),
            ('body', disc(radius=0.68)), ('dark', disc((0.25, 0), 0.26))]


def taxi_mark():
    """A chequered panel."""
    cells = [('dark', np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) / 2 + corner)
             for corner in np.argwhere(np.indices((4, 4)).sum(0) % 2) / 2 - 1]
    return [('vivid', np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]))] + cells


def cart_mark():
    """A wheel with a tyre and spokes."""
    spokes = [('vivid', bar(-end, end, 0.3)) for end in disc(corners=6)[:3]]
    return [('dark', disc(radius=1.25)), ('vivid', disc(radius=1.0)),
            ('dark', disc(radius=0.75))] + spokes


class Kind(NamedTuple):
    """What tells a class from the others.

    The hue is a range in degrees. Without a hue of its own for each class a
    small transformer stays at chance for the demo's first 400 steps.
    """
    mark: list
    hue: tuple


KINDS = dict(
    owl=Kind(owl_mark(), (120, 140)),
    badger=Kind(badger_mark(), (290, 310)),
    lion=Kind(lion_mark(), (5, 20)),
    taxi=Kind(taxi_mark(), (50, 62)),
    cart=Kind(cart_mark(), (228, 244)))
CLASSES = tuple(KINDS)


# ------------------------------------------------------------------- bodies
def tapered(along):
    """Half the width of a body with a thin tail, (N, )."""
    return 0.03 + 0.15 * np.sin(0.85 * np.pi * along)


def egg(along):
    """Half the width of an egg-shaped body, (N, )."""
    return 0.26 * np.sin(np.pi * np.clip(along, 0.04, 0.96))**0.6


def slab(along):
    """Half the width of a body that is equally wide everywhere, (N, )."""
    return np.full_like(along, 0.15)


BODIES = (tapered, egg, slab)


def body_polygon(spine, half_width):
    """Widen a line to a closed outline.

    Args:
        spine (np.ndarray): Points along the middle, (N, 2).
        half_width (np.ndarray): Distance of the outline from them, (N, ).

    Returns:
        np.ndarray: (2 * N, 2).
    """
    along = np.gradient(spine, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.stack([-along[:, 1], along[:, 0]], 1) * half_width[:, None]
    return np.concatenate([spine + side, (spine - side)[::-1]])


def limb_polygons(rng, spine, half_width):
    """Zero to four limbs with a joint each, as a list of (4, 2) bars."""
    width = rng.uniform(0.05, 0.09)
    length = rng.uniform(0.09, 0.17)
    polygons = []
    for place in rng.choice(np.arange(2, 14), rng.integers(5), replace=False):
        hip = spine[place]
        down = hip + [0, half_width[place] + length * 0.4]
        foot = down + length * np.array([rng.uniform(-0.8, 0.8), 0.8])
        polygons += [bar(hip, down, width), bar(down, foot, width)]
    return polygons


def draw_parts(rng, name):
    """Compose an object of about unit length, head towards +x.

    Args:
        rng (np.random.Generator): Source of randomness.
        name (str): One of ``CLASSES``.

    Returns:
        tuple: The parts, a list of tone and polygon (N, 2), bottom first; and
        how many of them are below the head.
    """
    along = np.linspace(0, 1, 16)
    bend = rng.uniform(-0.22, 0.22) * np.sin(
        rng.uniform(0.8, 2) * np.pi * along)
    spine = np.stack([0.72 * along - 0.5, bend], 1)
    # Each class has a favourite body, which the others have too.
    favourite = CLASSES.index(name) % len(BODIES)
    odds = np.where(np.arange(len(BODIES)) == favourite, 0.5, 0.25)
    half_width = BODIES[rng.choice(len(BODIES), p=odds)](along)
    half_width = half_width * rng.uniform(0.8, 1.2)
    body = [('body', polygon)
            for polygon in limb_polygons(rng, spine, half_width)]
    body.append(('body', body_polygon(spine, half_width)))
    front = rng.integers(0, 4)  # of 16: the coat leaves the tail's end bare
    body.append(('coat', body_polygon(spine[front:], half_width[front:])))

    radius = rng.uniform(0.17, 0.21)
    turn = rotation(rng.uniform(-0.5, 0.5))
    squash = rng.uniform(0.85, 1.15, 2)
    centre = spine[-1] + [0.3 * radius, 0]
    head = [(tone, polygon * squash @ turn * radius + centre)
            for tone, polygon in [('body', disc())] + KINDS[name].mark]
    return body + head, len(body)


# ------------------------------------------------------------------- scenes
def fill(shape, polygons):
    """The union of polygons as uint8 of shape (H, W), 0 or 1."""
    mask = np.zeros(shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask


def place_polygons(rng, polygons, shape, length):
    """Turn, mirror, scale and move polygons to where they fit in a scene.

    Args:
        rng (np.random.Generator): Source of randomness.
        polygons (list[np.ndarray]): Points (x, y), each (N, 2).
        shape (tuple[int]): Height and width of the scene.
        length (float): Pixels per unit; less where the scene is too small.

    Returns:
        list[np.ndarray]: The polygons in pixels, inside the scene.
    """
    matrix = rotation(rng.uniform(-1.1, 1.1)) * [rng.choice((-1, 1)), 1]
    turned = [polygon @ matrix for polygon in polygons]
    points = np.concatenate(turned)
    low, extent = points.min(0), np.ptp(points, axis=0)
    room = np.array(shape[::-1]) - 1
    scale = min(length, *(0.95 * room / extent))
    offset = rng.random(2) * (room - scale * extent)
    return [(polygon - low) * scale + offset for polygon in turned]


def rounded(mask):
    """Shade a silhouette darker towards its edge, (H, W) factors."""
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    return np.clip(0.45 + 0.2 * depth, 0, 1)


def paint_object(rng, canvas, parts, hue):
    """Paint one object over a scene, in place.

    Args:
        rng (np.random.Generator): Source of randomness.
        canvas (np.ndarray): The scene, float32 of shape (H, W, 3).
        parts (list[tuple[str, np.ndarray]]): Tone and polygon (N, 2) in
            pixels, bottom first.
        hue (tuple[float]): Range of the vivid tone's hue, in degrees.
    """
    shape = canvas.shape[:2]
    colour = random_colour(rng, (0.2, 0.5), (0.3, 0.75))
    picture = texture(rng, shape, colour, (0.15, 0.3))
    vivid = np.full_like(picture, random_colour(rng, (0.75, 1), (0.9, 1), hue))
    pattern = (stripes, spots)[rng.integers(2)](rng, shape)
    paints = dict(
        body=picture.copy(),
        coat=picture + (0.3 + 0.7 * pattern)[..., None] * (vivid - picture),
        vivid=vivid,
        dark=np.full_like(picture, random_colour(rng, (0, 0.5), (0.05, 0.2))))
    for tone, polygon in parts:
        cv2.copyTo(paints[tone], fill(shape, [polygon]), picture)
    silhouette = fill(shape, [polygon for _, polygon in parts])
    picture *= cv2.merge([rounded(silhouette)] * 3)
    cv2.copyTo(picture, silhouette, canvas)


def paint_background(rng, shape):
    """Muted textures with muted clutter on them.

    Nothing here is vivid or shows a class mark.

    Args:
        rng (np.random.Generator): Source of randomness.
        shape (tuple[int]): Height and width.

    Returns:
        np.ndarray: float32 of shape (H, W, 3), from 0 to 255.
    """

    def muted():
        colour = random_colour(rng, (0, 0.15), (0.25, 0.95))
        return texture(rng, shape, colour, (0.1, 0.4))

    canvas = muted()
    if rng.random() < 0.5:
        horizon = int(shape[0] * rng.uniform(0.3, 0.7))
        canvas[horizon:] = muted()[horizon:]
    for _ in range(rng.integers(3, 9)):
        clutter = disc(corners=rng.integers(3, 12)) * rng.uniform(0.5, 1, 2)
        clutter += rng.normal(0, 0.15, clutter.shape)
        size = rng.uniform(0.06, 0.22) * max(shape)
        clutter = clutter * size + rng.random(2) * shape[::-1]
        cv2.copyTo(muted(), fill(shape, [clutter]), canvas)
    return canvas


def hides_too_much(silhouette, mask, heads, areas):
    """Whether a new object would hide what the tags depend on.

    Objects may hide one another's bodies, but no head, which tells the class,
    and never half of an object.

    Args:
        silhouette (np.ndarray): The new object, 0 or 1, (H, W).
        mask (np.ndarray): Labels of the scene so far, (H, W).
        heads (np.ndarray): Heads of the scene so far, 0 or 1, (H, W).
        areas (dict[int, int]): Pixels of each label's object when painted.

    Returns:
        bool: True if it would.
    """
    visible = np.bincount(mask[silhouette == 0], minlength=len(CLASSES) + 1)
    return (silhouette & heads).any() or any(visible[label] < 0.5 * area
                                             for label, area in areas.items())


def draw_scene(rng, size):
    """Draw one image with its truth.

    Args:
        rng (np.random.Generator): Source of randomness.
        size (int): The longer side in pixels; the shorter one has 75 to
            100 % of it.

    Returns:
        tuple: The image, BGR uint8 of shape (H, W, 3); the mask, uint8 of
        shape (H, W) with 0 for background and 1 to ``len(CLASSES)``; and the
        sorted tags, a list[str] of one to three classes.
    """
    sides = [size, int(rng.integers(size * 3 // 4, size + 1))]
    rng.shuffle(sides)
    shape = tuple(side * SUPERSAMPLING for side in sides)
    canvas = paint_background(rng, shape)
    mask = np.zeros(shape, np.uint8)
    heads = np.zeros(shape, np.uint8)
    areas = {}

    count = rng.choice((1, 2, 3), p=(0.55, 0.35, 0.1))
    for index in rng.choice(len(CLASSES), count, replace=False):
        name, label = CLASSES[index], index + 1
        for _ in range(PLACING_ATTEMPTS):
            parts, below_head = draw_parts(rng, name)
            tones, polygons = zip(*parts)
            length = rng.uniform(0.6, 1) / count**0.35 * max(shape)
            polygons = place_polygons(rng, polygons, shape, length)
            silhouette = fill(shape, polygons)
            if hides_too_much(silhouette, mask, heads, areas):
                continue
            paint_object(rng, canvas, list(zip(tones, polygons)),
                         KINDS[name].hue)
            mask[silhouette > 0] = label
            heads |= fill(shape, polygons[below_head:])
            areas[label] = silhouette.sum()
            break

    image = cv2.resize(canvas, sides[::-1], interpolation=cv2.INTER_AREA)
    image += GRAIN * rng.standard_normal((*sides, 1), 'f4')
    tags = sorted(CLASSES[label - 1] for label in areas)
    step = SUPERSAMPLING
    return np.clip(image, 0,
                   255).astype(np.uint8), mask[::step, ::step].copy(), tags


# -------------------------------------------------------------------- files
def image_name(split, index):
    """The name of an image, without suffix."""
    return f'{split}_{index:06d}'


def write(path, image, options=()):
    """Write an image.

    Raises:
        OSError: If opencv cannot write it.
    """
    if not cv2.imwrite(str(path), image, list(options)):
        raise OSError(f'{path} could not be written: is the disk full?')


def make_image(item, folder, seed, size):
    """Draw and write one image, and its mask where it is for validation.

    The random numbers depend on the seed and the item alone, so the files do
    not depend on which process writes them, or when.

    Args:
        item (tuple[str, int]): Split and index.
        folder (Path): The data set.
        seed (int): Seed of the data set.
        size (int): Longer side in pixels.

    Returns:
        list[str]: The tags.
    """
    split, index = item
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    image, mask, tags = draw_scene(rng, size)
    name = image_name(split, index)
    write(folder / 'JPEGImages' / f'{name}.jpg', image,
          (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    if split == 'val':
        write(folder / 'SegmentationClassAug' / f'{name}.png', mask)
    return tags


def write_dataset(folder, parameters, workers):
    """Write the whole data set into a new folder.

    Args:
        folder (Path): A folder that does not exist.
        parameters (dict): 'train', 'val', 'size' and 'seed', recorded with
            whatever else is in it.
        workers (int): Number of processes.
    """
    lists = folder / 'ImageSets' / 'Segmentation'
    for path in (folder / 'JPEGImages', folder / 'SegmentationClassAug',
                 lists):
        path.mkdir(parents=True)
    items = [(split, index) for split in SPLITS
             for index in range(parameters[split])]
    draw = partial(
        make_image,
        folder=folder,
        seed=parameters['seed'],
        size=parameters['size'])
    tags = list(
        parallel_map(draw, items, workers, description='Drawing images'))

    names = {
        split:
        [image_name(split, index) for index in range(parameters[split])]
        for split in SPLITS
    }
    (lists / 'trainaug.txt').write_text('\n'.join(names['train']) + '\n')
    (lists / 'val.txt').write_text('\n'.join(names['val']) + '\n')
    lines = [
        f'{name}: {", ".join(tag)}' for name, tag in zip(names['train'], tags)
    ]
    (folder / 'image_labels.txt'
     ).write_text('\n'.join(['# ' + ','.join(CLASSES), *lines]) + '\n')
    (folder / 'parameters.json').write_text(json.dumps(parameters) + '\n')


def is_complete(folder, parameters):
    """Whether ``folder`` holds each file of the set with ``parameters``."""
    lists = folder / 'ImageSets' / 'Segmentation'
    paths = [
        folder / 'image_labels.txt', lists / 'trainaug.txt', lists / 'val.txt'
    ]
    for split in SPLITS:
        for index in range(parameters[split]):
            name = image_name(split, index)
            paths.append(folder / 'JPEGImages' / f'{name}.jpg')
            if split == 'val':
                paths.append(folder / 'SegmentationClassAug' / f'{name}.png')
    return all(path.is_file() for path in paths)


def find_existing(folder, parameters):
    """Look at what is where the data set shall be.

    Args:
        folder (Path): Where the data set shall be.
        parameters (dict): What it shall be made from.

    Returns:
        str: 'nothing', 'same' for this very data set, or a sentence that
        says how the data set found differs.

    Raises:
        SystemExit: If something else than a demo data set is there. It is
            never replaced.
    """
    if not folder.exists() or folder.is_dir() and not any(folder.iterdir()):
        return 'nothing'
    record = folder / 'parameters.json'
    try:
        found = json.loads(record.read_text())
    except (OSError, ValueError):
        raise SystemExit(f'{folder} exists and is no demo data set: '
                         f'{record} cannot be read. Give another folder.')
    if found != parameters:
        return f'was made with {found}, not with {parameters}'
    if not is_complete(folder, parameters):
        return 'has lost some of its files'
    return 'same'


def make_demo_data(folder, parameters, workers, overwrite):
    """Make ``folder`` hold the demo data set, all of it or nothing.

    The files are written next to ``folder`` and moved there when all of them
    are complete.

    Args:
        folder (Path): Where the data set shall be.
        parameters (dict): What :func:`write_dataset` takes.
        workers (int): Number of processes.
        overwrite (bool): Replace a different demo data set.

    Raises:
        SystemExit: If something different is there.
    """
    existing = find_existing(folder, parameters)
    if existing == 'same':
        print(f'{folder} is complete.')
        return
    if existing != 'nothing' and not overwrite:
        raise SystemExit(f'{folder} {existing}. Add --overwrite to replace '
                         'it, or give another folder.')
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
            dir=folder.parent, prefix=f'.{folder.name}.') as unfinished:
        new = Path(unfinished) / 'new'
        write_dataset(new, parameters, workers)
        if folder.exists():
            folder.rename(Path(unfinished) / 'old')
        new.rename(folder)
    print(f'{folder}: {parameters["train"]} training and '
          f'{parameters["val"]} validation images.')


def at_least(minimum):
    """An argparse type: an integer not below ``minimum``."""

    def integer(text):
        if int(text) < minimum:
            raise argparse.ArgumentTypeError(
                f'{text} is too small, it must be at least {minimum}')
        return int(text)

    return integer


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description='Draw the demo data set in the layout of VOC 2012')
    parser.add_argument('out', type=Path, help='folder to make')
    parser.add_argument(
        '--train',
        type=at_least(1),
        default=600,
        help='number of training images (default: 600)')
    parser.add_argument(
        '--val',
        type=at_least(1),
        default=100,
        help='number of validation images (default: 100)')
    parser.add_argument(
        '--size',
        type=at_least(96),
        default=128,
        help='longer side in pixels (default: 128)')
    parser.add_argument(
        '--seed', type=at_least(0), default=0, help='seed (default: 0)')
    parser.add_argument(
        '--workers',
        type=at_least(1),
        default=min(4,
                    os.cpu_count() or 1),
        help='number of processes; the files do not depend on it')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a demo data set that was made with other parameters')
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    # Leave through the exception that cleans up, not on the spot.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parameters = dict(
        recipe=RECIPE,
        classes=list(CLASSES),
        train=args.train,
        val=args.val,
        size=args.size,
        seed=args.seed)
    make_demo_data(args.out, parameters, args.workers, args.overwrite)


if __name__ == '__main__':
    main()
