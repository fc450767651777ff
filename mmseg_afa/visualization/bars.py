# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path
from typing import Dict, Union

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..utils import replacing
from .fonts import font_of, writable

BAR = 0.16  # inches; its thickness


def plot_classes(path: Union[str, Path], counts: Dict[str, Dict[str,
                                                                int]]) -> None:
    """Draw how many images show each class, as bars.

    Args:
        path (str or Path): The picture, .png for example.
        counts (dict[str, dict[str, int]]): For each split, by its name, the
            number of images of each class. The bars are sorted by the first.

    Raises:
        ValueError: If there is nothing to draw, or no such format.
    """
    if not any(counts.values()):
        raise ValueError(f'{path}: there are no classes to plot.')
    names = list(dict.fromkeys(name for of in counts.values() for name in of))
    first = next(iter(counts.values()))
    names.sort(key=lambda name: (-first.get(name, 0), name))
    rows = np.arange(len(names))
    thickness = 0.8 / len(counts)
    figure = Figure((8, 1 + BAR * len(names) * (len(counts) + 0.5)), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, (split, of) in enumerate(counts.items()):
        widths = [of.get(name, 0) for name in names]
        bars = axes.barh(
            rows + (i - (len(counts) - 1) / 2) * thickness,
            widths,
            thickness,
            label=split)
        axes.bar_label(
            bars, [f'{width:,}' for width in widths], padding=2, fontsize=7)
    axes.set_yticks(rows, [writable(name) for name in names], parse_math=False)
    for label in axes.get_yticklabels():
        label.set_font(font_of(label.get_text()))
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    axes.margins(x=0.1)
    axes.set_xlabel('images')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter('{x:,.0f}')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(loc='lower right', bbox_to_anchor=(1, 1), ncol=len(counts))
    figure.tight_layout()
    with replacing(path) as unfinished:
        figure.savefig(unfinished)
