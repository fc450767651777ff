# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Convert a checkpoint of the published AFA code for the configs in here."""
import argparse
import os
import sys
from typing import Dict

import torch
from torch import Tensor

from mmseg_afa.models.backbones.mit_names import segformer_to_mmseg

# The decoder numbers its levels from 1, mmseg from 0.
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


def convert(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Published names, with or without `module.`, to those of `AFA`.

    Raises:
        KeyError: For a name that the published network does not have.
    """
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
            raise KeyError(f'{name!r} is no parameter of AFA')
    out.update({
        f'backbone.{name}': value
        for name, value in segformer_to_mmseg(encoder).items()
    })
    return out


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='published checkpoint')
    parser.add_argument('dst', help='checkpoint to write')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not os.path.isfile(args.src):
        sys.exit(f'{args.src}: no such file')
    # weights only: a checkpoint from elsewhere must not run code
    checkpoint = torch.load(args.src, map_location='cpu', weights_only=True)
    state_dict = checkpoint.get('state_dict', checkpoint)
    if any(name.startswith('decode_head.') for name in state_dict):
        sys.exit(f'{args.src} is converted already')
    try:
        converted = convert(state_dict)
    except KeyError as error:
        sys.exit(f'{args.src}: {error.args[0]}; expected a checkpoint of the '
                 'published AFA code')
    # a killed run must leave no half-written checkpoint
    temporary = f'{args.dst}.part'
    torch.save(dict(state_dict=converted, meta=dict()), temporary)
    os.replace(temporary, args.dst)
    print(f'{len(converted)} tensors -> {args.dst}')


if __name__ == '__main__':
    main()
