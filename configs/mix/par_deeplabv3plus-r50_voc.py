# PAR for another segmentor: the predictions of mmseg's DeepLabV3+ are refined
# along image edges in validation and test.
_base_ = [
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512.py'
]
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)
custom_hooks = [
    dict(type='PARRefinementHook', refiner=dict(type='PAR', num_iter=10))
]
