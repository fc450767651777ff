# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw docs/architecture.png: what flows through AFA in a training step."""
import argparse

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

# Parts by their places: name, what it is, x, y, colour. One unit is a step of
# the drawing's grid.
NETWORK, LABELS, LOSSES, DATA = '#cfe2f3', '#fce5cd', '#f4cccc', '#eeeeee'
PARTS = [
    ('image', '(B, 3, H, W)', 0, 3, DATA),
    ('tags', 'multi-hot (B, C)', 0, 1, DATA),
    ('AttnMixVisionTransformer', 'features, attention logits', 1, 3, NETWORK),
    ('WSSSHead', 'segmentation, classes', 2, 4, NETWORK),
    ('AFAHead', 'affinity (B, N, N)', 2, 2, NETWORK),
    ('BalancedSegLoss', 'and DenseEnergyLoss', 3.05, 5, LOSSES),
    ('MultiLabelSoftMarginLoss', 'of the tags', 3.05, 4, LOSSES),
    ('AffinityLoss', 'pairs of cells', 3.05, 2, LOSSES),
    ('multi_scale_cam', '3 scales, and flipped', 1, 1, LABELS),
    ('PseudoLabeler', 'random walk, thresholds', 2, 1, LABELS),
    ('PAR', 'along image edges', 2, 0, LABELS),
    ('pseudo label', '(B, H, W), 255 ignored', 3.05, 1, LABELS),
]
# From, to, what passes, and how far the arrow bends.
ARROWS = [
    ('image', 'AttnMixVisionTransformer', '', 0),
    ('AttnMixVisionTransformer', 'WSSSHead', 'features', 0),
    ('AttnMixVisionTransformer', 'AFAHead', 'attention', 0),
    ('AttnMixVisionTransformer', 'multi_scale_cam', 'features, attention', 0),
    ('WSSSHead', 'BalancedSegLoss', '', 0),
    ('WSSSHead', 'MultiLabelSoftMarginLoss', '', 0),
    ('AFAHead', 'AffinityLoss', '', 0),
    ('AFAHead', 'PseudoLabeler', 'affinity', 0),
    ('tags', 'multi_scale_cam', 'classes', 0),
    ('multi_scale_cam', 'PseudoLabeler', 'CAM', 0),
    ('PseudoLabeler', 'PAR', '', 0),
    ('PseudoLabeler', 'pseudo label', '', 0),
    ('pseudo label', 'AffinityLoss', '', 0),
    ('pseudo label', 'BalancedSegLoss', '', 1),
]
STEP_X, STEP_Y, WIDTH, HEIGHT = 3.9, 1.25, 2.95, 0.78


def place(name):
    """The centre of a part."""
    x, y = next(part[2:4] for part in PARTS if part[0] == name)
    return x * STEP_X, y * STEP_Y


def draw(path):
    """Draw all into a PNG file."""
    figure, axes = plt.subplots(figsize=(12.4, 6.1))
    for name, text, x, y, colour in PARTS:
        axes.text(
            x * STEP_X,
            y * STEP_Y,
            f'{name}\n{text}',
            ha='center',
            va='center',
            fontsize=9,
            linespacing=1.5)
        axes.add_patch(
            plt.Rectangle((x * STEP_X - WIDTH / 2, y * STEP_Y - HEIGHT / 2),
                          WIDTH,
                          HEIGHT,
                          facecolor=colour,
                          edgecolor='#666666',
                          zorder=0))
    for begin, end, text, bend in ARROWS:
        (x0, y0), (x1, y1) = place(begin), place(end)
        if bend:  # around what is between, on the right
            x0, x1 = x0 + WIDTH / 2, x1 + WIDTH / 2
            style = f'arc3,rad={0.35 * bend}'
        elif x0 == x1:
            y0, y1 = y0 + HEIGHT / 2 * (1 if y1 > y0 else -1), \
                y1 + HEIGHT / 2 * (1 if y1 < y0 else -1)
            style = 'arc3'
        else:
            x0, x1 = x0 + WIDTH / 2, x1 - WIDTH / 2
            style = 'arc3'
        axes.annotate(
            '', (x1, y1), (x0, y0),
            arrowprops=dict(
                arrowstyle='<|-|>' if end == 'PAR' else '-|>',
                color='#444444',
                connectionstyle=style))
        axes.text(
            (x0 + x1) / 2, (y0 + y1) / 2,
            text,
            fontsize=8,
            ha='center',
            va='center',
            color='#444444',
            bbox=dict(facecolor='white', edgecolor='none', pad=1.5))
    for i, (colour, text) in enumerate(
        ((NETWORK, 'network: learns'), (LABELS, 'labels: no gradient'),
         (LOSSES, 'losses'))):
        axes.add_patch(
            plt.Rectangle((-WIDTH / 2, 6.15 - 0.42 * i),
                          0.35,
                          0.25,
                          facecolor=colour,
                          edgecolor='#666666'))
        axes.text(
            -WIDTH / 2 + 0.5, 6.27 - 0.42 * i, text, va='center', fontsize=9)
    axes.set_xlim(-WIDTH / 2 - 0.1, 3.05 * STEP_X + WIDTH / 2 + 1.1)
    axes.set_ylim(-HEIGHT / 2 - 0.1, 5 * STEP_Y + HEIGHT / 2 + 0.1)
    axes.axis('off')
    figure.savefig(path, dpi=90, bbox_inches='tight', pad_inches=0.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('path', nargs='?', default='docs/architecture.png')
    draw(parser.parse_args().path)


if __name__ == '__main__':
    main()
