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

from ...models import AFA, PresentClasses
from ...models.segmentors.schedule import CAM_LABELS, CLASSIFY, REFINED_LABELS
from ...models.segmentors.score_maps import with_background
from ...models.utils import (evaluating, most_classes, resize, stack_boxes,
                             stack_image_labels, unwrap)
from ...visualization import WeakSegLocalVisualizer

IN_FORCE = {
    CLASSIFY: 'classification only',
    CAM_LABELS: 'under its CAM label',
    REFINED_LABELS: 'under its refined label'
}


@HOOKS.register_module()
class PseudoLabelVisualizationHook(Hook):
    """Draw the stages of AFA's training for some images of the batch.

    These are the crop, its CAM, affinity CAM, the label of the phase, and the
    segmentation, all after the iteration and in evaluation mode. The pictures
    go to all backends of the config's visualizer, which must be a
    WeakSegLocalVisualizer. The hook does not change the training.

    Args:
        interval (int): Iterations between two pictures.
        num_images (int): Images in a picture, at most.

    Raises:
        TypeError: When training starts, if the model is not an AFA or the
            visualizer has another type.
    """

    # before IterTimerHook, for which what comes later is time for data
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 500, num_images: int = 2) -> None:
        self.interval = interval
        self.num_images = num_images

    def before_train(self, runner: Runner) -> None:
        """Check the types of the model and of the visualizer."""
        model = unwrap(runner.model)
        if not isinstance(model, AFA):
            raise TypeError(
                f'PseudoLabelVisualizationHook: {type(model).__name__} makes '
                'no pseudo labels; take the hook out of custom_hooks')
        if not isinstance(runner.visualizer, WeakSegLocalVisualizer):
            raise TypeError(
                'PseudoLabelVisualizationHook: the visualizer is a '
                f'{type(runner.visualizer).__name__}; set visualizer.type='
                "'WeakSegLocalVisualizer'")

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
        data = model.data_preprocessor(
            {
                key: value[:self.num_images]
                for key, value in data_batch.items()
            },
            training=True)
        phase = model.phase(runner.iter)
        with runner.optim_wrapper.optim_context(model), evaluating(model):
            samples = stages_of(model, **data, phase=phase)
        images = (255 * model.images(data['inputs'])).round().byte()
        return visualizer.draw_sheet([
            visualizer.draw_stages(image, sample) for image, sample in zip(
                images.permute(0, 2, 3, 1).cpu().numpy(), samples)
        ], [
            f'{visualizer.caption(sample)} ({IN_FORCE[phase]})'
            for sample in samples
        ])


@torch.no_grad()
def stages_of(model: AFA, inputs: Tensor, data_samples: SampleList,
              phase: str) -> SampleList:
    """Compute the stages from CAM to label that a step goes through.

    Args:
        model (AFA): The model.
        inputs (Tensor): (B, 3, H, W), normalised.
        data_samples (list[SegDataSample]): With `image_label` and `img_box`.
        phase (str): The phase of the schedule.

    Returns:
        list[SegDataSample]: With `cam`, `affinity_cam` if the model has an
        affinity, `cam_label` or `refined_label` if the phase has a label,
        and `pred_sem_seg`.
    """
    labeler, num_classes = model.labeler, model.decode_head.num_classes
    classes = PresentClasses.from_image_label(
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
    maps['pred_sem_seg'] = logits.argmax(1, keepdim=True)
    drawn = []
    for i, sample in enumerate(data_samples):
        sample = sample.clone()
        sample.set_data({
            name: PixelData(data=batch[i])
            for name, batch in maps.items()
        })
        drawn.append(sample)
    return drawn
