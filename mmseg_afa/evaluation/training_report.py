# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find out from a few numbers of each class whether a training fails."""
from math import isfinite, nan
from typing import Dict, List, Optional, Sequence

import numpy as np
import torch
from torch import Tensor


def count_classes(label: Tensor, num_classes: int) -> Tensor:
    """Count the pixels of 0..C, (C + 1, ), without waiting for a GPU."""
    index = label.flatten().long().clamp(max=num_classes)
    counts = index.new_zeros(num_classes + 1)
    return counts.scatter_add_(0, index, torch.ones_like(index))[:-1]


def covers_border(cam: Tensor) -> Tensor:
    """Find the CAMs (C, H, W) that cover the border and leave the middle."""
    height, width = cam.shape[-2:]
    border = torch.ones_like(cam[0], dtype=torch.bool)
    border[height // 8:-height // 8, width // 8:-width // 8] = False
    middle = cam[:, height // 4:-height // 4, width // 4:-width // 4]
    return cam[:, border].mean(1) > 1.5 * middle.mean((1, 2))


def summarize(names: Sequence[str],
              image_labels: np.ndarray,
              counts: Dict[str, Tensor],
              scores: Dict[str, Tensor],
              background: bool = True) -> dict:
    """Compute a report from the `counts` of TrainingReportHook.

    Returns:
        dict: Shares are in percent. Numbers that are not known are None.

        - photos, untagged: Number of training photos, and without tags.
        - foreground: Share of the label pixels since the last report.
        - classes (list[dict]): For each foreground class its 'name', and

          - photos: Number of training photos with the tag.
          - AP: Average precision of the classifier.
          - chance: AP of guesses: share of validation photos with the tag.
          - label: Share of the label pixels.
          - coverage: Share of the label pixels of crops with the tag.
          - predicted: Share of the predicted pixels of the validation.
          - inverted: Share of validation photos with the tag whose CAM covers
            the border. It and `coverage` need 5 images.
        - warnings (list[str]): What fails, and the remedy.
    """
    unknown = torch.full((1 + len(names), ), nan)
    label, predicted, crops, photos, inverted = (
        counts.get(key, unknown).double()
        for key in ('label', 'predicted', 'crops', 'photos', 'inverted'))
    share = 100 * label / label.sum()
    columns = dict(
        photos=torch.from_numpy(image_labels).sum(0),
        AP=scores.get('AP', unknown[1:]),
        chance=scores.get('chance', unknown[1:]),
        label=share[1:],
        coverage=(share * crops[0] / crops).masked_fill(crops < 5, nan)[1:],
        predicted=(100 * predicted / predicted.sum())[1:],
        inverted=(100 * inverted / photos).masked_fill(photos < 5, nan)[1:])
    total, untagged = len(image_labels), int((~image_labels.any(1)).sum())
    foreground = share[1:].sum().item()
    rows = zip(names, *(map(readable, n.tolist()) for n in columns.values()))
    return dict(
        photos=total,
        untagged=untagged,
        foreground=readable(foreground),
        classes=[dict(zip(('name', *columns), row)) for row in rows],
        warnings=find_warnings(names, columns,
                               foreground if background else nan, total,
                               untagged))


def readable(number: float) -> Optional[float]:
    """Round a number; None stands for an unknown one."""
    return round(number, 3) if isfinite(number) else None


def find_warnings(names: Sequence[str], columns: Dict[str, Tensor],
                  foreground: float, photos: int, untagged: int) -> List[str]:
    """List what fails, with the remedy. No comparison with nan holds."""
    tagged, chance = columns['photos'], columns['chance']
    found, remedy = [], 'Train longer, or follow the other warnings.'
    if untagged > photos / 2:
        remedy = (f'{untagged} of {photos} training photos have no tag. '
                  'Draw fewer: train_dataloader.sampler.empty_share=0.25.')
    # chance and ten points, or half of what is left
    low = columns['AP'] < chance + ((100 - chance) / 2).clamp(max=10)
    never = (columns['predicted'] == 0) & (tagged > 0) & (chance != 0)
    for fails, text in [
        (tagged >= 0.95 * photos, 'on at least 95 % of the training photos, '
         'and cannot be learned. Add photos without it.'),
        (low, 'the classifier is hardly better than chance. Check the '
         'tags, add photos, or raise model.train_cfg.cam_iters.'),
        (columns['coverage'] < 0.5, 'less than 0.5 % of the label pixels of '
         'crops with the tag. Check the tags, or add photos with it.'),
        (never, f'never predicted. {remedy}'),
        (columns['inverted'] > 60, 'the CAM covers the border of most photos '
         'and leaves the middle. Add photos without it, or raise '
         'model.train_cfg.cam_iters.')
    ]:
        failing = [name for name, fail in zip(names, fails) if fail]
        if failing:
            found.append(f'{", ".join(failing)}: {text}')
    if foreground < 0.5 or foreground > 90:
        change = 'Lower' if foreground < 0.5 else 'Raise'
        found.append(f'{foreground:.1f} % of the label pixels are foreground. '
                     f'{change} model.labeler.bkg_high and bkg_low.')
    return found
