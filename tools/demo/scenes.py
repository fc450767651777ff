# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw the scenes of the demo data set: toy animals on muted backgrounds.

An image classifier finds the scenes easy, its CAM does not. Each object is a
body with limbs and a head. The class shows in the mark on the head, and in
vivid stripes or spots on the body. Limbs and tail have random colours, so
only affinity and PAR can find the full extent of an object.
"""
import math

import cv2
import numpy as np

# Raise this number if the drawing code changes the images. A folder that an
# older recipe wrote is then refused.
RECIPE = 3

# Hue of each class in degrees. Without distinct hues a small transformer
# stays at chance for the demo's first 400 steps.
HUES = dict(
    owl=(120, 140),
    badger=(290, 310),
    lion=(5, 20),
    taxi=(50, 62),
    cart=(228, 244))
CLASSES = list(HUES)

SCALE = 2  # draw scenes at twice their size and shrink them: smooth edges
GRAIN = 3  # standard deviation of the camera noise, in grey levels
PLACING_ATTEMPTS = 20


# ------------------------------------------------------ colours and textures
# Colours are BGR float32 in 0..255, patterns (H, W) in 0..1.
def random_colour(rng, saturation, value, hue=(0, 360)):
    hsv = [rng.uniform(*span) for span in (hue, saturation, value)]
    return cv2.cvtColor(np.float32([[hsv]]), cv2.COLOR_HSV2BGR)[0, 0] * 255


def ramp(rng, shape, turn):
    """Project the pixels on a random direction of 0 to `turn` radians."""
    angle = rng.uniform(0, turn)
    rows, cols = np.indices(shape, dtype='f4')
    return math.cos(angle) * rows + math.sin(angle) * cols


def gradient(rng, shape):
    along = ramp(rng, shape, math.tau)
    return (along - along.min()) / np.ptp(along)


def noise(rng, shape):
    cell = rng.uniform(6, 30)
    total = np.zeros(shape, 'f4')
    for weight, size in ((0.65, cell), (0.35, cell / 3)):
        grid = np.ceil(np.array(shape) / size).astype(int) + 1
        total += weight * cv2.resize(rng.random(grid, 'f4'), shape[::-1])
    return total


def stripes(rng, shape):
    along, period = ramp(rng, shape, math.pi), rng.uniform(8, 28)
    phase = rng.uniform(0, period)
    return 0.5 + 0.5 * np.tanh(2 * np.sin((along + phase) * math.tau / period))


def spots(rng, shape):
    field = noise(rng, shape)
    return 0.5 + 0.5 * np.tanh(14 * (field - rng.uniform(0.45, 0.6)))


def texture(rng, shape, colour, contrast):
    """Blend a colour and a lighter or darker one by a random pattern."""
    pattern = (gradient, noise, stripes, spots)[rng.integers(4)](rng, shape)
    brightness = rng.choice((-1, 1)) * rng.uniform(*contrast)
    tint = rng.uniform(-0.5, 0.5, 3) * contrast[1]
    other = np.clip(colour * (1 + brightness + tint), 0, 255).astype('f4')
    return cv2.merge([a + pattern * (b - a) for a, b in zip(colour, other)])


# ------------------------------------------------------------------- shapes
# Polygons are points (x, y), (N, 2).
def disc(centre=(0, 0), radius=1.0, corners=24):
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1) + centre


def star(outer, inner, spikes):
    return disc(corners=2 * spikes) * np.tile([[outer], [inner]], (spikes, 1))


def band(low, high):
    """Cut the slice with ``low <= y <= high`` from the unit disc."""
    return np.clip(disc(corners=48), (-1, low), (1, high))


def bar(start, end, width):
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]]) * width / 2
    return np.stack([start + side, end + side, end - side, start - side])


def rotation(angle):
    """Return the matrix (2, 2) that turns row vectors by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def outline(spine, half_width):
    """Widen a line (N, 2) by distances (N, ) to a polygon (2 * N, 2)."""
    along = np.gradient(spine, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.stack([-along[:, 1], along[:, 0]], 1) * half_width[:, None]
    return np.concatenate([spine + side, (spine - side)[::-1]])


# ------------------------------------------------------------------ objects
def class_marks():
    """List the (tone, polygon) pairs on each class's head, bottom first.

    The head is the unit disc, and x points away from the body.
    """
    eyes = [(tone, disc((0.1, side * 0.52), radius)) for side in (-1, 1)
            for tone, radius in (('vivid', 0.52), ('dark', 0.24))]
    square = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    odd_cells = np.argwhere(np.indices((4, 4)).sum(0) % 2)
    return dict(
        owl=eyes + [('dark', np.array([[0.3, -0.2], [0.3, 0.2], [1.1, 0]]))],
        badger=[('vivid', disc())] + [('dark', band(y - 0.2, y + 0.2))
                                      for y in (-0.55, 0.55)],
        lion=[('dark', star(1.55, 0.95, 9)), ('vivid', star(1.2, 0.75, 9)),
              ('body', disc(radius=0.68)), ('dark', disc((0.25, 0), 0.26))],
        taxi=[('vivid', 2 * square - 1)] + [('dark', square / 2 + cell / 2 - 1)
                                            for cell in odd_cells],
        cart=[('dark', disc(radius=1.25)), ('vivid', disc()),
              ('dark', disc(radius=0.75))] + [('vivid', bar(-end, end, 0.3))
                                              for end in disc(corners=6)[:3]])


MARKS = class_marks()
# Half the width of a body, from tail to head: tapered, egg-shaped, straight.
BODIES = (lambda x: 0.03 + 0.15 * np.sin(0.85 * np.pi * x),
          lambda x: 0.26 * np.sin(np.pi * np.clip(x, 0.04, 0.96))**0.6,
          lambda x: np.full_like(x, 0.15))


def draw_parts(rng, name):
    """Compose an object of about unit length, with its head towards +x.

    Return tones and polygons of the parts, bottom first, and how many parts
    lie below the head.
    """
    x = np.linspace(0, 1, 16)
    bend = rng.uniform(-0.22, 0.22) * np.sin(rng.uniform(0.8, 2) * np.pi * x)
    spine = np.stack([0.72 * x - 0.5, bend], 1)
    # Each class prefers one body, but may have any.
    odds = [0.25, 0.25, 0.25]
    odds[CLASSES.index(name) % 3] = 0.5
    half_width = BODIES[rng.choice(3, p=odds)](x) * rng.uniform(0.8, 1.2)

    width, length = rng.uniform(0.05, 0.09), rng.uniform(0.09, 0.17)
    parts = []
    for place in rng.choice(np.arange(2, 14), rng.integers(5), replace=False):
        hip = spine[place]
        knee = hip + [0, half_width[place] + length * 0.4]
        foot = knee + length * np.array([rng.uniform(-0.8, 0.8), 0.8])
        parts += [('body', bar(hip, knee, width)),
                  ('body', bar(knee, foot, width))]
    parts.append(('body', outline(spine, half_width)))
    front = rng.integers(0, 4)  # of 16: the end of the tail has no coat
    parts.append(('coat', outline(spine[front:], half_width[front:])))
    below_head = len(parts)

    radius = rng.uniform(0.17, 0.21)
    turn = rotation(rng.uniform(-0.5, 0.5))
    squash = rng.uniform(0.85, 1.15, 2)
    centre = spine[-1] + [0.3 * radius, 0]
    parts += [(tone, polygon * squash @ turn * radius + centre)
              for tone, polygon in [('body', disc())] + MARKS[name]]
    return (*zip(*parts), below_head)


# ------------------------------------------------------------------- scenes
def fill(shape, polygons):
    """Draw the union of polygons: uint8 of shape (H, W), 0 or 1."""
    mask = np.zeros(shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask


def place(rng, polygons, shape, length):
    """Turn, mirror, scale and move polygons to a random place in a scene."""
    matrix = rotation(rng.uniform(-1.1, 1.1)) * [rng.choice((-1, 1)), 1]
    turned = [polygon @ matrix for polygon in polygons]
    points = np.concatenate(turned)
    low, extent = points.min(0), np.ptp(points, axis=0)
    room = np.array(shape[::-1]) - 1
    scale = min(length, *(0.95 * room / extent))  # pixels per unit
    offset = rng.random(2) * (room - scale * extent)
    return [(polygon - low) * scale + offset for polygon in turned]


def paint_object(rng, canvas, tones, polygons, hue):
    """Paint an object over a scene (H, W, 3), in place."""
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
    for tone, polygon in zip(tones, polygons):
        cv2.copyTo(paints[tone], fill(shape, [polygon]), picture)
    silhouette = fill(shape, polygons)
    depth = cv2.distanceTransform(silhouette, cv2.DIST_L2, 3)
    shade = np.clip(0.45 + 0.2 * depth, 0, 1)  # dark edges
    picture *= cv2.merge([shade] * 3)
    cv2.copyTo(picture, silhouette, canvas)


def paint_background(rng, shape):
    """Paint muted clutter on muted textures, float32 (H, W, 3)."""

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


def draw_scene(rng, size):
    """Draw an image whose longer side has ``size`` pixels.

    Returns:
        tuple: The image, BGR uint8 (H, W, 3); its mask, uint8 (H, W) of class
        ids; and its tags, one to three classes in alphabetical order.
    """
    sides = [size, int(rng.integers(size * 3 // 4, size + 1))]
    rng.shuffle(sides)
    shape = tuple(side * SCALE for side in sides)
    canvas = paint_background(rng, shape)
    mask, heads = np.zeros((2, *shape), np.uint8)
    areas = {}  # of each label's object when it was painted, in pixels

    count = rng.choice((1, 2, 3), p=(0.55, 0.35, 0.1))
    for index in rng.choice(len(CLASSES), count, replace=False):
        name, label = CLASSES[index], index + 1
        for _ in range(PLACING_ATTEMPTS):
            tones, polygons, below_head = draw_parts(rng, name)
            length = rng.uniform(0.6, 1) / count**0.35 * max(shape)
            polygons = place(rng, polygons, shape, length)
            silhouette = fill(shape, polygons)
            # Objects may hide neither a head, which shows the class, nor more
            # than half of another object.
            visible = np.bincount(mask[silhouette == 0], minlength=6)
            if (silhouette & heads).any() or any(
                    visible[other] < 0.5 * area
                    for other, area in areas.items()):
                continue
            paint_object(rng, canvas, tones, polygons, HUES[name])
            mask[silhouette > 0] = label
            heads |= fill(shape, polygons[below_head:])
            areas[label] = silhouette.sum()
            break

    image = cv2.resize(canvas, sides[::-1], interpolation=cv2.INTER_AREA)
    image += GRAIN * rng.standard_normal((*sides, 1), 'f4')
    tags = sorted(CLASSES[label - 1] for label in areas)
    return (np.clip(image, 0,
                    255).astype(np.uint8), mask[::SCALE, ::SCALE].copy(), tags)
