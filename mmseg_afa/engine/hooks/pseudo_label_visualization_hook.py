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

from mmseg_afa.models import AFA, PresentClasses
from mmseg_afa.models.segmentors.schedule import (REFINED_LABELS, CAM_LABELS,
                                                  CLASSIFY)
from mmseg_afa.models.utils import (evaluating, most_classes, resize,
                                    stack_boxes, stack_image_labels)
from mmseg_afa.visualization import WeakSegLocalVisualizer
from .par_refinement_hook import unwrap

IN_FORCE = {
    CLASSIFY: 'classification only',
    CAM_LABELS: 'under its CAM label',
    REFINED_LABELS: 'under its refined label'
}


@HOOKS.register_module()
class PseudoLabelVisualizationHook(Hook):
    """Shows what AFA trains on: some images of the batch, their CAM, affinity
    CAM, the pseudo label in force and the prediction.

    The pictures go to all backends of the config's visualizer, which has to
    be a WeakSegLocalVisualizer. The images are the crops as the network sees
    them, and the rest is what it makes of them after the iteration, in
    evaluation mode. Training goes on as it would without the hook.

    Args:
        interval (int): Iterations from a picture to the next.
        num_images (int): Images in a picture, at most.

    Raises:
        TypeError: When training starts, if the model is not an AFA or the
            visualizer of another type.
    """

    # before IterTimerHook, for which what comes later is time for data
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 500, num_images: int = 2) -> None:
        self.interval = interval
        self.num_images = num_images

    def before_train(self, runner: Runner) -> None:
        """Check that there is something to draw, and that draws it."""
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
        """A sheet of the first images of a batch, RGB uint8 (H, W, 3)."""
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
    """What a model in training makes of images.

    Args:
        model (AFA): The model.
        inputs (Tensor): (B, 3, H, W), normalised.
        data_samples (list[SegDataSample]): With `image_label` and `img_box`.
        phase (str): The phase of the schedule.

    Returns:
        list[SegDataSample]: With `cam`, `affinity_cam` if the model has an
        affinity, `pseudo_sem_seg` if the phase has a label, `pred_sem_seg`.
    """
    image_label = stack_image_labels(data_samples,
                                     model.decode_head.num_classes - 1)
    classes = PresentClasses.from_image_label(image_label, most_classes(data_samples))
    cam, affinity, grid = model.train_cam(inputs, classes, with_affinity=True)
    scores = {
        name: maps.classes.scatter(maps.scores, model.decode_head.num_classes)
        for name, maps in model.cam_maps(cam, classes, affinity, grid).items()
    }
    scores['cam'] = scores['cam'][:, 1:]  # draw_stages wants no background
    logits = model(inputs, mode='tensor').float()
    scores['pred_sem_seg'] = resize(logits, inputs.shape[-2:]).argmax(
        1, keepdim=True)
    if phase != CLASSIFY:
        boxes = stack_boxes(data_samples, inputs)
        scores['pseudo_sem_seg'] = model.pseudo_labels(inputs, classes, boxes,
                                                       phase).seg[:, None]
    drawn = []
    for i, sample in enumerate(data_samples):
        sample = sample.clone()
        sample.set_data({
            name: PixelData(data=maps[i])
            for name, maps in scores.items()
        })
        drawn.append(sample)
    return drawn
