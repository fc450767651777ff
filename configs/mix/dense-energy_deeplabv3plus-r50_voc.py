# DenseEnergyLoss under a head of mmseg's: DeepLabV3+ learns from pseudo
# labels, and where these are 255 pixels of similar colour get similar scores.
_base_ = ['../afa/deeplabv3plus_r50_pseudo-labels_voc.py']
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)
model = dict(
    # EncoderDecoder whose losses see the image; decode_head stays as it is
    type='RegularizedEncoderDecoder',
    loss_reg=dict(
        type='DenseEnergyLoss',
        loss_weight=0.01,  # in the total, as in AFA's paper
        sigma_rgb=15.,  # grey levels that are similar
        sigma_xy=100.))  # pixels that are near
