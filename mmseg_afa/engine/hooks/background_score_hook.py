# Copyright (c) mmseg_afa contributors. All rights reserved.
import os.path as osp
from typing import Sequence

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...models import AFA
from ...models.segmentors.schedule import CLASSIFY
from ...models.utils import unwrap
from ...utils import UserError
from ..background_scores import PAIRS, compare_background_scores
from .resumable_checkpoint_hook import ResumableCheckpointHook


@HOOKS.register_module()
class BackgroundScoreHook(Hook):
    """Draw labels of several background scores after AFA's classification.

    Training continues. For other scores than those in use, resume from
    ``classification.pth``, which is saved then and never deleted.

    Args:
        pairs (Sequence[tuple[float, float]]): High and low background scores.
        num_images (int): Images on the sheet.
    """

    priority = 'LOWEST'  # after all that changes a checkpoint

    def __init__(self, pairs: Sequence = PAIRS, num_images: int = 12) -> None:
        self.pairs, self.num_images = pairs, num_images

    def before_train(self, runner: Runner) -> None:
        """Check the types of the model, the data set and the saving hook."""
        found = [
            isinstance(unwrap(runner.model), AFA), 'image_label'
            in runner.train_dataloader.dataset.get_data_info(0),
            *(hook for hook in runner.hooks
              if isinstance(hook, ResumableCheckpointHook))
        ]
        if not all(found) or len(found) < 3:
            raise UserError(
                'BackgroundScoreHook needs an AFA, a WeakLabelDataset and a '
                'ResumableCheckpointHook. Remove it from custom_hooks.')
        self.saver = found[2]

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save and draw after the last step of the classification phase."""
        model = unwrap(runner.model)
        if [model.phase(runner.iter + i) == CLASSIFY
                for i in (0, 1)] != [True, False]:
            return
        saved = self.saver.save_as(runner, 'classification.pth')
        if not model.labeler.background:
            return  # no score to choose
        if is_main_process():  # the others wait in the next step
            val = runner.val_loop and runner.val_loop.dataloader.dataset
            path = osp.join(runner.work_dir, 'background_scores.png')
            with runner.optim_wrapper.optim_context(model):
                compare_background_scores(model,
                                          runner.train_dataloader.dataset, val,
                                          path, self.pairs, self.num_images)
            runner.logger.info(
                f'For another pair: tools/train.py CONFIG --resume {saved} '
                '--cfg-options model.labeler.bkg_high=H '
                'model.labeler.bkg_low=L')
