# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import HOOKS
from mmseg.utils import SampleList
from torch import Tensor

from ...models import AFA
from ...models.segmentors.schedule import CAM_LABELS, REFINED_LABELS
from ...models.segmentors.score_maps import restrict_to_tags, with_background
from ...models.utils import (evaluating, most_classes, resize, stack_boxes,
                             stack_image_labels, unwrap)
from ...visualization import WeakSegLocalVisualizer


@HOOKS.register_module()
class PseudoLabelVisualizationHook(Hook):
    """Draw the stages of AFA's training for some images of the batch.

    These are the crop, its CAM, affinity CAM, the label of the phase, and the
    segmentation, after the iteration and in evaluation mode. The visualizer
    of the config must be a WeakSegLocalVisualizer.

    Args:
        interval (int): Iterations between two pictures.
        num_images (int): Images in a picture, at most.
    """

    # before IterTimerHook, for which what comes later is time for data
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 500, num_images: int = 2) -> None:
        self.interval = interval
        self.num_images = num_images

    def before_train(self, runner: Runner) -> None:
        """Check the types of the model and of the visualizer."""
        if not (isinstance(unwrap(runner.model), AFA)
                and isinstance(runner.visualizer, WeakSegLocalVisualizer)):
            raise TypeError('PseudoLabelVisualizationHook needs an AFA and '
                            "visualizer.type='WeakSegLocalVisualizer'.")

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Draw a picture every `interval` iterations, in the main process."""
        if is_main_process() and self.every_n_train_iters(
                runner, self.interval):
            runner.visualizer.add_image('pseudo_labels',
                                        self.draw(runner, data_batch),
                                        runner.iter + 1)

    def draw(self, runner: Runner, data_batch: dict) -> np.ndarray:
        """Draw the first images of a batch: RGB uint8 (H, W, 3)."""
        model, visualizer = unwrap(runner.model), runner.visualizer
        data = {
            key: value[:self.num_images]
            for key, value in data_batch.items()
        }
        data = model.data_preprocessor(data, training=True)
        with runner.optim_wrapper.optim_context(model), evaluating(model):
            samples = stages_of(model, **data, phase=model.phase(runner.iter))
        images = (255 * model.images(data['inputs'])).round().byte()
        images = images.permute(0, 2, 3, 1).cpu().numpy()
        rows = list(map(visualizer.draw_stages, images, samples))
        return visualizer.draw_sheet(rows,
                                     list(map(visualizer.caption, samples)))


@torch.no_grad()
def stages_of(model: AFA, inputs: Tensor, data_samples: SampleList,
              phase: str) -> SampleList:
    """Compute the stages from CAM to label that a step goes through."""
    labeler, num_classes = model.labeler, model.decode_head.num_classes
    classes = labeler.present_classes(
        stack_image_labels(data_samples, num_classes - 1),
        most_classes(data_samples))
    cam, affinity, grid = model.train_cam(inputs, classes, with_affinity=True)
    size = inputs.shape[-2:]
    own = with_background(cam, classes, labeler.bkg_score).scores
    maps = dict(cam=classes.scatter(own, num_classes)[:, 1:])
    if affinity is not None:
        walked = labeler.walk(cam, classes, affinity, grid,
                              (labeler.bkg_low, ))
        maps['affinity_cam'] = resize(
            classes.scatter(walked, num_classes), size)
    label_of = classes, stack_boxes(data_samples, inputs), model.images(inputs)
    if phase == CAM_LABELS:
        maps['cam_label'] = labeler.cam_label(cam, *label_of)[:, None]
    elif phase == REFINED_LABELS:
        maps['refined_label'] = labeler.refined_label(cam, *label_of, affinity,
                                                      grid)[:, None]
    logits = resize(model(inputs, mode='tensor').float(), size)
    shown = restrict_to_tags(logits, torch.ones_like(logits[:, 1:, 0, 0]),
                             labeler.background)
    maps['pred_sem_seg'] = shown.scores.argmax(1, keepdim=True)
    drawn = [sample.clone() for sample in data_samples]
    for name, batch in maps.items():
        for sample, data in zip(drawn, batch):
            sample.set_data({name: PixelData(data=data)})
    return drawn
