# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
from collections import Counter

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from mmseg.utils import SampleList
from prettytable import PrettyTable
from torch import Tensor
from torch.nn.functional import pad

from ...datasets.weak_label import read_image_labels
from ...evaluation import ImageLabelMetric
from ...evaluation.training_report import (count_classes, covers_border,
                                           summarize)
from ...models import AFA
from ...models.segmentors.schedule import CLASSIFY
from ...models.utils import stack_image_labels, unwrap
from ...utils import replacing

SEE = 'See docs/troubleshooting.md, "The log warns that the training fails".'


@HOOKS.register_module()
class TrainingReportHook(Hook):
    """Say after each validation, and at the end, what fails in a training.

    The numbers stand in the log and in ``training_report.json`` of the work
    folder: 'iteration', the number of iterations done, and what
    :func:`mmseg_afa.evaluation.training_report.summarize` returns. The hook
    does nothing for a model other than AFA, and without tags of photos.
    """

    priority = 'LOW'  # after the scores are logged
    interval = 10  # iterations between two steps whose labels are counted
    model, warnings = None, ()  # without an AFA, all methods do nothing

    def before_train(self, runner: Runner) -> None:
        """Read the names and tags of the training photos."""
        model, dataset = unwrap(runner.model), runner.train_dataloader.dataset
        labels = read_image_labels(dataset) if isinstance(model, AFA) else None
        if labels is not None:
            self.model, self.image_labels = model, labels
            self.names = dataset.metainfo['classes'][1:]
            # By class, from 0: pixels (label, predicted), and images with the
            # class, of which 0 stands for all (crops, photos, inverted).
            self.counts = Counter()

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: dict, outputs: dict) -> None:
        """Count the label of a step, without waiting for the GPU."""
        label = getattr(self.model, 'seg_label', None)
        if label is not None and (runner.iter + 1) % self.interval == 0:
            self.counts.update(
                label=count_classes(label, 1 + len(self.names)),
                crops=self.count_images(data_batch['data_samples']))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                       outputs: SampleList) -> None:
        """Count predicted pixels and inverted CAMs."""
        if self.model is None:
            return
        for sample in outputs:
            pred = sample.pred_sem_seg.data
            self.counts.update(
                predicted=count_classes(pred, 1 + len(self.names)))
            if 'cam' in sample and 'image_label' in sample:
                shown = self.count_images([sample])
                inverted = covers_border(sample.cam.data).long().cpu()
                self.counts.update(
                    photos=shown, inverted=shown * pad(inverted, (1, 0)))

    def count_images(self, samples: SampleList) -> Tensor:
        """Count the images of a batch, and those with each tag."""
        labels = stack_image_labels(samples, len(self.names))
        return pad(labels.long(), (1, 0), value=1).sum(0).cpu()

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Write the report, and log it with its warnings."""
        if self.model is None:
            return
        own = {name: count.cpu() for name, count in self.counts.items()}
        self.counts, totals = Counter(), Counter()
        for part in all_gather_object(own):
            totals.update(part)
        if not is_main_process():
            return
        if self.model.phase(runner.iter - 1) == CLASSIFY:
            del totals['predicted']  # by weights that are not trained
        metrics = runner.val_loop.evaluator.metrics if runner.val_loop else ()
        scores = [m.report for m in metrics if isinstance(m, ImageLabelMetric)]
        scores = [*scores, {}][0]
        report = summarize(self.names, self.image_labels, totals, scores,
                           self.model.labeler.background)
        with replacing(f'{runner.work_dir}/training_report.json') as file:
            file.write_text(
                json.dumps(dict(iteration=runner.iter, **report), indent=2))
        table = PrettyTable(list(report['classes'][0]))
        table.add_rows([one.values() for one in report['classes']])
        runner.logger.info(f'training_report.json:\n{table}')
        self.warnings = report['warnings']
        self.warn(runner, f'Iteration {runner.iter}:')

    def after_train(self, runner: Runner) -> None:
        """Repeat the warnings, so that the log ends with them."""
        if runner.val_loop is None:
            self.after_val_epoch(runner, {})
        self.warn(runner, 'The training may have failed:')

    def warn(self, runner: Runner, title: str) -> None:
        """Log the warnings in one message; mmengine drops repeated ones."""
        if self.warnings:
            runner.logger.warning('\n- '.join([title, *self.warnings, SEE]))
