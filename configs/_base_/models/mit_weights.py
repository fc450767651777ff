# SegFormer's ImageNet-1k weights, converted by mmseg, for non-commercial use
# (docs/your_data.md, section 4). mmengine downloads a file on first use.
mit_weights = {
    arch: 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/'
    f'segformer/mit_{arch}_20220624-{digest}.pth'
    for arch, digest in dict(
        b0='7e0fe6dd',
        b1='02e5a6a1',
        b2='66e8bf70',
        b3='13b1141c',
        b4='d588d980',
        b5='658746d9').items()
}
