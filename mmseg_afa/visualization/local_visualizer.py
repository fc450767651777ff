# Copyright (c) mmseg_afa contributors. All rights reserved.
from io import BytesIO
from pathlib import Path
from typing import Dict, Sequence, Union

import mmcv
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from PIL import Image
from torch import Tensor

from ..models.segmentors.maps import SOURCES
from ..utils import IGNORE_INDEX, replacing

CELL = 1.6  # inches, at 100 pixels each: the side of a sheet's cell
LINE = 0.2  # inches: what a caption takes
TEXT_SIZE = 8  # points
LETTERS = 15  # in an inch, on average
LONGEST = 40  # characters of a class name

# label maps of a sample, and their titles on a sheet
LABEL_MAPS = {
    **{
        s.name: s.title
        for s in SOURCES.values() if s.needs_tags
    }, 'pred_sem_seg': SOURCES['seg'].title,
    'gt_sem_seg': 'truth'
}


@VISUALIZERS.register_module()
class WeakSegLocalVisualizer(SegLocalVisualizer):
    """Draws what weakly-supervised segmentation makes of an image.

    Takes the place of mmseg's visualizer in a config, whose pictures it draws
    as well, with ignored pixels hatched. Its methods take and return RGB
    uint8 pictures (H, W, 3), which :meth:`add_image` sends to all backends.

    They take names and colours of the classes from :attr:`dataset_meta`: a
    Runner sets it, others must. mmengine keeps it in the main process only.
    """

    def _draw_sem_seg(self, image, sem_seg, *args, **kwargs) -> np.ndarray:
        picture = super()._draw_sem_seg(image, sem_seg, *args, **kwargs)
        rows, cols = (sem_seg.data[0] == IGNORE_INDEX).cpu().numpy().nonzero()
        hatching = np.where((rows + cols) % 8 < 2, 150, 255)
        picture[rows, cols] = hatching[:, None]
        self.set_image(picture)
        return picture

    def draw_label(self, image: np.ndarray, label: Tensor) -> np.ndarray:
        """Lay a label map (h, w), resized to the image, over an RGB image
        (H, W, 3); 255 is hatched."""
        label = mmcv.imresize(
            label.cpu().numpy().astype(np.uint8),
            image.shape[1::-1],
            interpolation='nearest')
        return self._draw_sem_seg(
            image,
            PixelData(data=torch.from_numpy(label)[None]),
            self.dataset_meta['classes'],
            self.dataset_meta['palette'],
            with_labels=False)

    def draw_heatmap(self, image: np.ndarray, heat: Tensor) -> np.ndarray:
        """Lay a heat map (h, w), resized to the image, over an RGB image
        (H, W, 3): its lowest value in blue, its highest in red."""
        heat = mmcv.imresize(heat.float().cpu().numpy(), image.shape[1::-1])
        return self.draw_featmap(torch.from_numpy(heat)[None], image)

    def draw_stages(self, image: np.ndarray,
                    data_sample: SegDataSample) -> Dict[str, np.ndarray]:
        """Draw an image and what was made of it, from CAM to prediction.

        Args:
            image (np.ndarray): The image.
            data_sample (SegDataSample): With `image_label` (C, ), and any of
                `cam` (C, h, w) and `affinity_cam` (C + 1, h, w), of which the
                strongest present class is shown, `pseudo_sem_seg`,
                `pred_sem_seg` and `gt_sem_seg`, each in a size of its own.

        Returns:
            dict[str, np.ndarray]: Pictures of the image's size by the titles
            of the stages, without those that the sample lacks.
        """
        stages = dict(image=image)
        if 'cam' in data_sample:
            cam = data_sample.cam.data
            present = data_sample.image_label.to(cam)[:, None, None]
            stages['CAM'] = self.draw_heatmap(image, (cam * present).amax(0))
        if 'affinity_cam' in data_sample:
            # unnormalised, and 0 for absent classes
            scores = data_sample.affinity_cam.data
            share = scores[1:].amax(0) / scores.sum(0).clamp(min=1e-6)
            stages['affinity CAM'] = self.draw_heatmap(image, share)
        for key, title in LABEL_MAPS.items():
            if key in data_sample:
                stages[title] = self.draw_label(image,
                                                data_sample.get(key).data[0])
        return stages

    def caption(self, data_sample: SegDataSample) -> str:
        """The file of a sample, and what its image labels say it shows."""
        name = Path(data_sample.img_path).name
        if 'image_label' not in data_sample:
            return f'{name}: no labels'
        classes = self.dataset_meta['classes'][1:]  # without background
        present = data_sample.image_label.nonzero().flatten().tolist()
        return f'{name}: {", ".join(classes[i] for i in present) or "no tags"}'

    def draw_sheet(self,
                   rows: Sequence[Dict[str, np.ndarray]],
                   captions: Sequence[str],
                   legend: bool = True) -> np.ndarray:
        """Arrange pictures in rows and columns, with titles and a legend.

        Args:
            rows (Sequence[dict[str, np.ndarray]]): For each image pictures by
                the titles of their columns; sizes may differ, and pictures
                may be missing.
            captions (Sequence[str]): A line above each row.
            legend (bool): Whether to show the colours of the classes.
        """
        columns = list(dict.fromkeys(title for row in rows for title in row))
        # as high as the pictures need, at most as wide
        heights = [
            max(min(1, p.shape[0] / p.shape[1]) for p in row.values()) * CELL
            for row in rows
        ]
        width = CELL * len(columns)
        height = sum(heights) + LINE * (len(rows) - 1)
        figure = Figure((width, height), dpi=100)
        FigureCanvasAgg(figure)
        grid = figure.subplots(
            len(rows),
            len(columns),
            squeeze=False,
            subplot_kw=dict(anchor='NW'),
            gridspec_kw=dict(
                left=0,
                right=1,
                bottom=0,
                top=1,
                wspace=0.05,
                hspace=LINE / np.mean(heights),
                height_ratios=heights))
        for axes, row, caption in zip(grid, rows, captions):
            for axis, title in zip(axes, columns):
                axis.axis('off')
                if title in row:
                    axis.imshow(row[title])
            caption = shorten(caption, int(width * LETTERS))
            axes[0].set_title(caption, loc='left', pad=3)
        for axis, title in zip(grid[0], columns):
            axis.annotate(
                title, (0, 1), (0, 3 + 72 * LINE),
                xycoords='axes fraction',
                textcoords='offset points')
        if legend:
            self._add_legend(figure)
        for text in figure.findobj(Text):
            text.set_parse_math(False)
            text.set_fontsize(TEXT_SIZE)
        file = BytesIO()
        figure.savefig(file, bbox_inches='tight', pad_inches=0.08)
        return mmcv.imfrombytes(file.getvalue(), channel_order='rgb')

    def _add_legend(self, figure: Figure) -> None:
        """Put the classes' colours below a figure, in columns that fit."""
        patches = [
            Patch(facecolor=np.divide(colour, 255), edgecolor='grey')
            for colour in self.dataset_meta['palette']
        ]
        patches.append(Patch(facecolor='w', edgecolor='grey', hatch='////'))
        names = [*self.dataset_meta['classes'], 'ignored']
        names = [shorten(name, LONGEST) for name in names]
        widest = 0.6 + max(map(len, names)) / LETTERS  # inches
        figure.legend(
            patches,
            names,
            ncols=max(1, int(figure.get_figwidth() / widest)),
            fontsize=TEXT_SIZE,
            loc='upper left',
            bbox_to_anchor=(0, -0.1 / figure.get_figheight()),
            borderaxespad=0,
            borderpad=0,
            frameon=False)


def shorten(text: str, longest: int) -> str:
    """A text of at most `longest` characters; a cut is marked."""
    return text if len(text) <= longest else text[:longest - 1] + '…'


def save_picture(path: Union[str, Path], picture: np.ndarray) -> None:
    """Write an RGB uint8 picture (H, W, 3), all of it or nothing. The folder
    is made where it is missing."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        Image.fromarray(picture).save(unfinished, quality=90)
