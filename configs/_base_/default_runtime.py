_base_ = ['mmseg::_base_/default_runtime.py']

# registers the components of mmseg_afa
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)

# One seed for weights, shuffling and augmentation; set another or None. Each
# process adds its rank to it: stochastic depth, dropout and crops differ among
# processes, the weights and the order of the images are the same in all.
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
        # the published run's best checkpoint was not its last
        save_best='mIoU'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # stops before spoilt weights are saved, and keeps what spoilt them
    non_finite=dict(type='NonFiniteLossHook'),
    visualization=dict(type='SegVisualizationHook'))

# Add this to see what an AFA trains on, from CAM to label and prediction:
# custom_hooks = [dict(type='PseudoLabelVisualizationHook', interval=2000)]

visualizer = dict(
    type='WeakSegLocalVisualizer',
    _delete_=True,  # the base's name: a second run in a process would share it
    alpha=0.65,  # opacity of labels over the image
    vis_backends=[dict(type='LocalVisBackend')])

# `tools/test.py --tta`: published evaluation, without its dense CRF
tta_model = dict(
    type='MultiScaleMaxTTA',
    _delete_=True,
    scales=(1., 0.5, 0.75),  # of the image resized to long side 512
    flip=True)
