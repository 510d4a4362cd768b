"""Images as pixels: grey levels, grids, PNG and GIF files."""

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gan_tf.system.errors import UserError

GAP = 2  # pixels between the images of a grid, before zooming
ZOOM = 3  # how much a run's grids are enlarged: each pixel becomes a square of this side
_CAPTION_HEIGHT = 24  # pixels
PANEL_GAP = 12  # white pixels between panels


def to_uint8(images) -> np.ndarray:
    """Maps [-1, 1] to the grey levels 0 to 255, with the same scale for every image.

    Args:
      images: float array of any shape, in [-1, 1]; values outside are clipped.

    Returns:
      Array of the same shape, uint8, rounded to the nearest level.
    """
    return np.clip(np.rint((np.asarray(images) + 1) * 127.5), 0, 255).astype(np.uint8)


def make_grid(images, zoom: int = 1, columns: int | None = None) -> np.ndarray:
    """Arranges images row by row on a black background, in as square a grid as possible.

    Args:
      images: `[count, height, width, 1]` uint8, count >= 1.
      zoom: side of the square of pixels that each pixel becomes.
      columns: images in a row; by default the square root of the count, rounded up.

    Returns:
      `[grid_height, grid_width]` uint8.
    """
    count, height, width, _ = images.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    cells = np.zeros([rows * columns, height + GAP, width + GAP], np.uint8)
    cells[:count, GAP:, GAP:] = images[..., 0]
    cells = cells.reshape(rows, columns, height + GAP, width + GAP).swapaxes(1, 2)
    grid = cells.reshape(rows * (height + GAP), columns * (width + GAP))
    return np.pad(grid, [[0, GAP], [0, GAP]]).repeat(zoom, axis=0).repeat(zoom, axis=1)


def write_samples(path, samples) -> np.ndarray:
    """Writes samples, `[count, height, width, 1]` float in [-1, 1], to a PNG file as one grid.

    Returns its pixels, `[grid_height, grid_width]` uint8.
    """
    grid = make_grid(to_uint8(samples), zoom=ZOOM)
    write_png(path, grid)
    return grid


def write_png(path, pixels):
    """Writes grey levels, `[height, width]` uint8, to a PNG file."""
    Path(path).write_bytes(imageio.imwrite("<bytes>", pixels, extension=".png"))


def read_png(path) -> np.ndarray:
    """Reads a PNG file as grey levels, `[height, width]` uint8; raises UserError if damaged."""
    if not Path(path).is_file():  # reading a pipe could block
        raise UserError(f"{path} is not a file: remove it and try again")
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is not a whole PNG: remove it and try again") from error


def with_caption(pixels, text: str) -> np.ndarray:
    """Returns an image, `[height, width]` uint8, with a line of white text below it."""
    height, width = pixels.shape
    canvas = Image.new("L", [width, height + _CAPTION_HEIGHT])
    canvas.paste(Image.fromarray(pixels))
    font = ImageFont.load_default(size=_CAPTION_HEIGHT * 2 // 3)
    middle = (width / 2, height + _CAPTION_HEIGHT / 2)
    ImageDraw.Draw(canvas).text(middle, text, fill=255, font=font, anchor="mm")
    return np.asarray(canvas)


def side_by_side(panels) -> np.ndarray:
    """Places panels, `[height, width]` uint8, in a row on a white background."""
    height = max(panel.shape[0] for panel in panels)
    padded = [
        np.pad(panel, [[0, height - len(panel)], [PANEL_GAP, 0]], constant_values=255)
        for panel in panels
    ]
    return np.hstack(padded)[:, PANEL_GAP:]


def write_gif(path, frames, frame_ms: int, hold_ms: int):
    """Writes an animated GIF that repeats without end.

    Args:
      path: the file.
      frames: non-empty list of `[height, width]` uint8, all of the same size.
      frame_ms: duration of each frame in milliseconds; GIF rounds to multiples of 10.
      hold_ms: duration of the last frame.
    """
    # Pillow accepts a list only for several frames.
    durations = [frame_ms] * (len(frames) - 1) + [hold_ms] if len(frames) > 1 else hold_ms
    # Encoded in memory first: on a full disk imageio would print further lines to standard error.
    content = imageio.imwrite(
        "<bytes>", np.stack(frames), extension=".gif", duration=durations, loop=0
    )
    Path(path).write_bytes(content)
