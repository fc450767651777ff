# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path
from typing import Dict, Optional, Sequence

import cv2
import mmcv
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer
from torch import Tensor

from ..models.segmentors.maps import SOURCES
from .pictures import figure_to_picture, first_painted, overlay_label

CELL = 1.6  # inches, at 100 pixels per inch: side of a sheet's cell
LINE = 0.2  # inches: height of a caption
LETTERS = 15  # per inch, on average
# Letters that a font lacks are drawn in the next one that is installed.
FONTS = ('DejaVu Sans', 'Noto Sans CJK JP', 'Noto Sans CJK SC',
         'WenQuanYi Zen Hei', 'Arial Unicode MS', 'Microsoft YaHei',
         'Malgun Gothic', 'Nirmala UI', 'Noto Sans Arabic',
         'Noto Sans Devanagari')

# label maps of a sample, and their titles on a sheet
LABEL_MAPS = {s.name: s.title for s in SOURCES.values() if s.needs_tags}
LABEL_MAPS.update(pred_sem_seg=SOURCES['seg'].title, gt_sem_seg='truth')


def small_text():
    """Set up matplotlib, in a context, for plain text in any script."""
    import matplotlib
    from matplotlib import font_manager
    installed = font_manager.get_font_names()
    fonts = [font for font in FONTS if font in installed]
    size = dict.fromkeys(('font.size', 'axes.titlesize'), 8)
    return matplotlib.rc_context({
        'font.family': fonts,
        'text.parse_math': False,
        **size
    })


@VISUALIZERS.register_module()
class WeakSegLocalVisualizer(SegLocalVisualizer):
    """Draw the stages of weakly-supervised segmentation.

    In a config the class replaces mmseg's visualizer. Its methods take and
    return RGB uint8 pictures (H, W, 3). Names and colours of the classes are
    read from :attr:`dataset_meta`, which a Runner sets on its main process.
    """

    @classmethod
    def get_instance(cls,
                     name: str = 'visualizer',
                     **kwargs) -> 'WeakSegLocalVisualizer':
        """Build it without a name, too, which each Runner sets to its own."""
        return super().get_instance(name, **kwargs)

    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: Optional[SegDataSample] = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       **kwargs) -> None:
        """Draw a sample as mmseg does; one without a mask as it is."""
        sample = data_sample or SegDataSample()
        if not (draw_gt and 'gt_sem_seg' in sample
                or draw_pred and 'pred_sem_seg' in sample):
            blank = torch.zeros(1, *image.shape[:2], dtype=torch.uint8)
            sample = SegDataSample(gt_sem_seg=PixelData(data=blank))
            draw_gt = True
        super().add_datasample(name, image, sample, draw_gt, draw_pred,
                               **kwargs)

    def _draw_sem_seg(self,
                      image: np.ndarray,
                      sem_seg: PixelData,
                      classes: Sequence[str],
                      palette: Sequence,
                      with_labels: bool = True) -> np.ndarray:
        """Draw a label map for mmseg's `add_datasample`."""
        label = sem_seg.data[0].cpu().numpy().astype(np.uint8)
        picture = overlay_label(image, label, palette, classes, self.alpha)
        self.set_image(picture)
        if with_labels:
            ids = np.unique(label[label < len(classes)])
            with small_text():
                for i in ids[ids >= first_painted(classes)]:
                    # where the region is widest
                    region = np.pad((label == i).astype(np.uint8), 1)
                    inner = cv2.distanceTransform(region, cv2.DIST_L2, 3)
                    x, y = cv2.minMaxLoc(inner)[3]
                    self.ax_save.text(
                        x - 1,
                        y - 1,
                        classes[i],
                        color='w',
                        ha='center',
                        va='center',
                        clip_on=True,
                        bbox=dict(facecolor=np.divide(palette[i], 255), pad=1))
                picture = self.get_image()
        return picture

    def draw_label(self, image: np.ndarray, label: Tensor) -> np.ndarray:
        """Paint class ids (h, w), resized to the image, over the image."""
        label = mmcv.imresize(
            label.cpu().numpy().astype(np.uint8),
            image.shape[1::-1],
            interpolation='nearest')
        return overlay_label(image, label, self.dataset_meta['palette'],
                             self.dataset_meta['classes'], self.alpha)

    def draw_heatmap(self, image: np.ndarray, heat: Tensor) -> np.ndarray:
        """Lay values (h, w) over an image, from blue (lowest) to red."""
        heat = mmcv.imresize(heat.float().cpu().numpy(), image.shape[1::-1])
        return self.draw_featmap(torch.from_numpy(heat)[None], image)

    def draw_stages(self, image: np.ndarray,
                    data_sample: SegDataSample) -> Dict[str, np.ndarray]:
        """Draw an image and the maps of its sample, from CAM to prediction.

        Args:
            image (np.ndarray): The image.
            data_sample (SegDataSample): Maps of any size: `cam` (C, h, w),
                `affinity_cam` (C + 1, h, w) and :data:`LABEL_MAPS` (1, h, w).
                `cam` needs `image_label` (C, ).

        Returns:
            dict[str, np.ndarray]: Pictures of the image's size by title.
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
        """Name a sample's file and the classes of its image label."""
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
            rows (Sequence[dict[str, np.ndarray]]): Pictures of each row, of
                any size, by the titles of their columns.
            captions (Sequence[str]): A line above each row.
            legend (bool): Show the colours of the classes below.
        """
        with small_text():
            figure = self._arrange(rows, captions)
            if legend:
                self._add_legend(figure)
            return figure_to_picture(
                figure, bbox_inches='tight', pad_inches=0.08)

    def _arrange(self, rows: Sequence[dict], captions: Sequence[str]):
        from matplotlib.figure import Figure
        columns = list(dict.fromkeys(title for row in rows for title in row))
        # a row is as high as its pictures, at most as high as a cell is wide
        heights = [
            max(min(1, p.shape[0] / p.shape[1]) for p in row.values()) * CELL
            for row in rows
        ]
        width = CELL * len(columns)
        height = sum(heights) + LINE * (len(rows) - 1)
        figure = Figure((width, height), dpi=100)
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
        return figure

    def _add_legend(self, figure) -> None:
        """Draw samples of the overlay's colours below a figure."""
        from matplotlib.patches import Patch
        classes = self.dataset_meta['classes']
        first = first_painted(classes)
        names = [shorten(name, 40) for name in (*classes[first:], 'ignored')]
        colours = np.divide(self.dataset_meta['palette'][first:], 255)
        patches = [
            Patch(
                facecolor=(*colour, self.alpha), edgecolor=colour, linewidth=2)
            for colour in colours
        ]
        patches.append(Patch(facecolor='w', edgecolor='grey', hatch='////'))
        widest = 0.6 + max(map(len, names)) / LETTERS  # inches
        figure.legend(
            patches,
            names,
            ncols=max(1, int(figure.get_figwidth() / widest)),
            loc='upper left',
            bbox_to_anchor=(0, -0.1 / figure.get_figheight()),
            borderaxespad=0,
            borderpad=0,
            frameon=False)


def shorten(text: str, longest: int) -> str:
    """Cut a text to at most `longest` characters, and mark the cut."""
    return text if len(text) <= longest else text[:longest - 1] + '…'
