# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Convert a checkpoint of the published AFA code for this project's configs.
"""
import argparse

# The published decoder numbers its levels from 1, mmseg from 0.
RENAMES = {
    **{
        f'decoder.linear_c{i + 1}.proj.': f'decode_head.convs.{i}.'
        for i in range(4)
    },
    'decoder.linear_fuse.conv.': 'decode_head.fusion_conv.conv.',
    'decoder.linear_fuse.bn.': 'decode_head.fusion_conv.bn.',
    'decoder.linear_pred.': 'decode_head.conv_seg.',
    'classifier.': 'decode_head.classifier.',
    'attn_proj.': 'affinity_head.proj.',
}


def convert(state_dict: dict, where: str = 'checkpoint') -> dict:
    """Rename published weights to those of `AFA`.

    Args:
        state_dict (dict): The weights, named with or without `module.`.
        where (str): The file, for the message.

    Raises:
        UserError: If the published network does not have such a weight.
    """
    from mmseg_afa.models.backbones.mit_names import segformer_to_mmseg
    from mmseg_afa.utils import UserError

    out, encoder = {}, {}
    for name, value in state_dict.items():
        name = name[len('module.'):] if name.startswith('module.') else name
        if name.startswith('encoder.'):
            encoder[name[len('encoder.'):]] = value
            continue
        for old, new in RENAMES.items():
            if name.startswith(old):
                if old.startswith('decoder.linear_c') and value.ndim == 2:
                    value = value[:, :, None, None]
                out[new + name[len(old):]] = value
                break
        else:
            raise UserError(
                f'{where}: {name!r} is not a parameter of AFA. Expected a '
                'checkpoint of the published AFA code.')
    for name, value in segformer_to_mmseg(encoder).items():
        out[f'backbone.{name}'] = value
    return out


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='published checkpoint')
    parser.add_argument('dst', help='checkpoint to write')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Convert the checkpoint that the command line names."""
    args = parse_args(argv)
    import torch
    from mmengine.runner import CheckpointLoader

    from mmseg_afa.utils import exit_on_user_error, replacing
    with exit_on_user_error():
        checkpoint = CheckpointLoader.load_checkpoint(args.src, 'cpu')
        state_dict = checkpoint.get('state_dict', checkpoint)
        converted = convert(state_dict, args.src)
    with replacing(args.dst) as path:
        torch.save(dict(state_dict=converted, meta=dict()), path)
    print(f'{len(converted)} tensors -> {args.dst}')


if __name__ == '__main__':
    main()
