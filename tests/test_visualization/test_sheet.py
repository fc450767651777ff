# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Picture sheets: where the cells are, and that text never breaks them."""
import numpy as np
import pytest

from mmseg_afa.visualization import picture_sheet

CLASSES = ['background', 'owl']
PALETTE = [[0, 0, 0], [250, 120, 10]]


def plain(colour, height=20, width=20):
    return np.full((height, width, 3), colour, np.uint8)


def colours_of(picture):
    """The set of colours, as (B, G, R)."""
    packed = picture.astype(int) @ [1, 256, 65536]
    return {(code % 256, code // 256 % 256, code // 65536)
            for code in np.unique(packed).tolist()}


def make_sheet(rows, columns=('image', 'truth'), **kwargs):
    kwargs.setdefault('cell_size', (60, 80))
    return picture_sheet(rows, columns, CLASSES, PALETTE, **kwargs)


def test_cells_stand_in_rows_and_columns():
    blue, red, green = plain((255, 0, 0)), plain((0, 0, 255)), plain(
        (0, 255, 0))
    sheet = make_sheet([[blue, red], [green, blue]])
    assert sheet.dtype == np.uint8
    # titles 24, two rows of 60 + 8, two lines of legend 24 and margin 8;
    # three margins of 8 around two cells of 80
    assert sheet.shape == (24 + 2 * 68 + 2 * 24 + 8, 8 + 2 * 88, 3)
    for row, column, colour in [(0, 0, blue), (0, 1, red), (1, 0, green),
                                (1, 1, blue)]:
        center = sheet[24 + 68 * row + 30, 8 + 88 * column + 40]
        assert center.tolist() == colour[0, 0].tolist()


def test_cells_are_letter_boxed():
    sheet = make_sheet([[plain(0, 10, 40), plain(0, 300, 100)]])
    wide, tall = sheet[24:84, 8:88], sheet[24:84, 96:176]
    # 80 x 20 in the middle of 60 rows, 20 x 60 in the middle of 80 columns
    assert (wide[20:40] == 0).all()
    assert (wide[:20] == 255).all() and (wide[40:] == 255).all()
    assert (tall[:, 30:50] == 0).all()
    assert (tall[:, :30] == 255).all() and (tall[:, 50:] == 255).all()


def test_captions_take_a_line_above_each_row():
    rows = [[plain(0), plain(0)]] * 3
    without = make_sheet(rows)
    with_captions = make_sheet(rows, captions=['owl', '', 'owl, lion'])
    assert len(with_captions) == len(without) + 3 * 24
    lines = [with_captions[24 + 92 * row:48 + 92 * row] for row in range(3)]
    assert [bool((line < 128).any()) for line in lines] == [True, False, True]


def test_titles_are_drawn_in_their_columns():
    sheet = make_sheet([[plain(255), plain(255)]], columns=['', 'truth'])
    assert (sheet[:24, :96] == 255).all()
    assert (sheet[:24, 96:] < 128).any()


def test_long_text_stays_in_its_column():
    sheet = make_sheet([[plain(255), plain(255)]], columns=['m' * 500, ''])
    assert (sheet[:24, 8:88] < 128).any()
    assert (sheet[:24, 89:] == 255).all()


def test_legend_shows_the_colours():
    sheet = make_sheet([[plain(255), plain(255)]])
    colours = colours_of(sheet[92:])
    assert (10, 120, 250) in colours and (0, 0, 0) in colours
    assert (150, 150, 150) in colours  # the hatching of ignored pixels


def test_legend_wraps():
    names = [f'class {index}' for index in range(81)]
    palette = [[index, 0, 99] for index in range(81)]
    sheet = picture_sheet([[plain(0)] * 6], ['x'] * 6, names, palette)
    few = picture_sheet([[plain(0)] * 6], ['x'] * 6, names[:2], palette[:2])
    assert sheet.shape[1] == few.shape[1] == 8 + 6 * 168
    assert (len(sheet) - len(few)) % 24 == 0
    assert 5 * 24 <= len(sheet) - len(few) <= 12 * 24
    # every class has its square
    colours = colours_of(sheet)
    assert all((99, 0, index) in colours for index in range(81))


def test_one_narrow_column():
    sheet = picture_sheet([[plain(0)]], ['pseudo label'],
                          ['a very long class name'], [[9, 9, 9]],
                          cell_size=(20, 20))
    assert sheet.shape == (24 + 28 + 2 * 24 + 8, 36, 3)


def test_any_script_can_be_written():
    names = ['Käuzchen', '猫', 'кошка', 'قطة', '🐈', '']
    palette = [[30 * index] * 3 for index in range(6)]
    sheet = picture_sheet([[plain(0)] * 3], ['Bild', 'изображение', '図'],
                          names,
                          palette,
                          captions=['Größe: 猫'])
    assert sheet.shape[2] == 3


@pytest.mark.parametrize('change, message', [
    (dict(rows=[]), 'got 0 rows'),
    (dict(columns=[], rows=[[]]), '0 columns'),
    (dict(rows=[[plain(0)]]), 'row 0 has 1 cells for 2 columns'),
    (dict(captions=['a', 'b']), '2 captions for 1 rows'),
    (dict(classes=['owl']), '2 colours for 1 classes'),
    (dict(palette=[[0, 0]]), 'palette must be a list of'),
    (dict(rows=[[plain(0), np.zeros((3, 3), np.uint8)]]),
     'the cell "b" of row 0 must have the shape'),
])
def test_what_does_not_fit_together(change, message):
    arguments = dict(
        rows=[[plain(0), plain(0)]],
        columns=['a', 'b'],
        classes=CLASSES,
        palette=PALETTE)
    with pytest.raises(ValueError, match=message):
        picture_sheet(**{**arguments, **change})


def test_cell_of_real_numbers():
    with pytest.raises(TypeError, match='"truth" of row 1 .* float64'):
        make_sheet([[plain(0), plain(0)], [plain(0), np.zeros((4, 4, 3))]])
