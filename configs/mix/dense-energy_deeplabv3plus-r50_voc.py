# DenseEnergyLoss with mmseg's DeepLabV3+, trained on pseudo labels. Pixels of
# similar colour get similar scores, also where the label is 255.
_base_ = ['../afa/deeplabv3plus_r50_pseudo-labels_voc.py']
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)
model = dict(
    # EncoderDecoder with a loss that sees the image
    type='RegularizedEncoderDecoder',
    loss_reg=dict(
        type='DenseEnergyLoss',
        loss_weight=0.01,  # as in AFA's paper
        sigma_rgb=15.,  # similar colours: distance in grey levels
        sigma_xy=100.))  # near pixels: distance in pixels
