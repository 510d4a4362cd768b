"""The generator for the page: its weights, and directions for the sliders."""

import base64

import numpy as np

_DIRECTIONS = 10
_DENSE = 0  # index of the generator's first layer; its BatchNorm follows


def packed(generator) -> dict:
    """Returns a generator in the form that the page's script reads.

    Args:
      generator: a model as `gan_tf.models.make_generator` builds it.

    Returns:
      latent_dim; weights: base64 of all arrays in a row, kernels as little-endian float16;
      arrays: [name, shape, "f2" or "f4"] of each, in that order; directions: as `directions`.
    """
    arrays, content = [], b""
    for index, layer in enumerate(generator.layers):
        for weight in layer.weights:
            kind = "f2" if len(weight.shape) > 1 else "f4"
            values = np.asarray(weight.numpy(), "<" + kind)
            arrays.append([f"{index}/{weight.name}", list(values.shape), kind])
            content += values.tobytes()
            content += bytes(-len(content) % 4)
    return {
        "latent_dim": int(generator.input_shape[1]),
        "arrays": arrays,
        "directions": directions(generator).tolist(),
        "weights": base64.b64encode(content).decode("ascii"),
    }


def directions(generator) -> np.ndarray:
    """Returns the unit vectors of noise that change the first layer most: `[10, latent_dim]`.

    They are the first left singular vectors of its kernel after normalisation, the strongest
    first (Härkönen et al. 2020, "GANSpace", for a linear layer).
    """
    kernel = generator.layers[_DENSE].kernel.numpy()  # [latent_dim, 7 * 7 * 256]
    normalisation = generator.layers[_DENSE + 1]
    deviation = np.sqrt(normalisation.moving_variance.numpy() + normalisation.epsilon)
    scaled = (kernel * (normalisation.gamma.numpy() / deviation)).astype(np.float64)
    # Eigenvectors of the product equal the singular vectors, and are faster to compute.
    _, vectors = np.linalg.eigh(scaled @ scaled.T)
    return vectors[:, ::-1].T[:_DIRECTIONS].astype(np.float32)
