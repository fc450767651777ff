_base_ = ['mmseg::_base_/default_runtime.py']

# registers the components of mmseg_afa
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)

# One seed for weights, shuffling and augmentation; None draws one. Each
# process adds its rank, so stochastic depth, dropout and crops differ.
# The initial weights and the order of the images are equal in all processes.
randomness = dict(seed=0, diff_rank_seed=True)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='ResumableCheckpointHook',
        by_epoch=False,
        interval=2000,
        max_keep_ckpts=3,
        # the best checkpoint of the published run was not its last
        save_best='mIoU'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # stop at a nan or inf loss before a checkpoint is written
    non_finite=dict(type='NonFiniteLossHook'),
    # say after each validation what fails; only in a training of AFA
    report=dict(type='TrainingReportHook'),
    visualization=dict(type='SegVisualizationHook'))

# Add this hook to draw CAM, label and prediction during training:
# custom_hooks = [dict(type='PseudoLabelVisualizationHook', interval=2000)]

visualizer = dict(
    type='WeakSegLocalVisualizer',
    _delete_=True,  # drop the base's name: each run has its own
    alpha=0.65,  # opacity of the labels over the image, 0 to 1
    vis_backends=[dict(type='LocalVisBackend')])

# `tools/test.py --tta`: the published evaluation without the dense CRF
tta_model = dict(
    type='MultiScaleMaxTTA',
    _delete_=True,
    scales=(1., 0.5, 0.75),  # of the image at a long side of 512 pixels
    flip=True)
