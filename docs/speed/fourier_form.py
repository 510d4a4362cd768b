"""Draws docs/speed/fourier_form.png, the picture of the Fourier form: run it from the top level."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from gan_tf.fast_layers import fourier_matrices

BLUE, ORANGE, GREEN, PURPLE, GREY = "#cfe3f5", "#f7d9b8", "#d5e8d0", "#ead3e8", "#eeeeee"


def draw_cells(axes, kinds, colours, texts, title):
    axes.imshow(kinds, cmap=ListedColormap(colours), vmin=0, vmax=len(colours) - 1)
    for (row, column), text in np.ndenumerate(texts):
        axes.text(column, row, text, ha="center", va="center", fontsize=8)
    borders = np.arange(-0.5, len(kinds))
    axes.set_xticks(borders, [])
    axes.set_yticks(borders, [])
    axes.grid(color="white", linewidth=1)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=10)


figure, (phases, circle, frequencies) = plt.subplots(1, 3, figsize=(13, 4.7), layout="constrained")

row, column = np.indices([14, 14])
draw_cells(
    phases,
    row % 2 * 2 + column % 2,
    [BLUE, ORANGE, GREEN, PURPLE],
    np.full([14, 14], ""),
    "1. stride 2: the 14 × 14 fine positions\nare four grids of 7 × 7, one per phase",
)

inside = np.pad(np.ones([7, 7], int), (0, 2))
draw_cells(
    circle,
    inside,
    [GREY, BLUE],
    np.where(inside, "", "0"),
    "2. offsets up to 2: in a circle of 9 × 9,\nwhatever wraps around meets zeros",
)

u, v = np.indices([9, 9])
own, conjugate = u * 9 + v, -u % 9 * 9 + -v % 9
kinds = np.sign(conjugate - own) + 1  # left out; its own conjugate; one of a pair
texts = np.array(["", "1", "3"])[kinds]
products = sum(int(text or 0) for text in texts.flat)
assert products == len(fourier_matrices(7, 5, 1)[0])
draw_cells(
    frequencies,
    kinds,
    [GREY, ORANGE, BLUE],
    texts,
    f"3. real products for each frequency, {products} in all:\nof two conjugates one is enough",
)
figure.savefig("docs/speed/fourier_form.png", dpi=100)
