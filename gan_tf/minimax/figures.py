"""Figures of the minimax game: everything plotted is computed by `gan_tf.minimax`."""

import itertools
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.figure import Figure

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, DYNAMICS, HOMEWORK_GAME
from gan_tf.minimax.answers import START, STEP_SIZE, STEPS
from gan_tf.minimax.dynamics import SMALLEST_STEP, checked_arguments
from gan_tf.minimax.games import formula, typeset
from gan_tf.system.files import check_name, written_whole

# Okabe & Ito's colours can be told apart with every common kind of colour blindness.
_BLUE, _ORANGE, _GREEN, _VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
_GREY = "#6E6E6E"

# A colour and a marker each, so that the figures can also be read without colour.
_STYLES = {
    "simultaneous": {"color": _VERMILION, "marker": "o"},
    "alternating": {"color": _BLUE, "marker": "s"},
    "descent_on_both": {"color": _ORANGE, "marker": "X"},
    "extragradient": {"color": _GREEN, "marker": "^"},
}
_SADDLE_POINT = {"marker": "*", "color": "white", "markeredgecolor": "black", "markersize": 14}


def write_figures(
    output_dir, game=HOMEWORK_GAME, start=START, step_x=STEP_SIZE, step_y=STEP_SIZE, steps=STEPS
):
    """Writes every figure. No unfinished file is left if this is interrupted.

    Args:
      output_dir: a folder, created if it is missing.
      game, start, step_x, step_y, steps: as for `minimax.simulate`.

    Returns:
      list of Path, in the order of the assignment's parts.

    Raises:
      UserError: an argument is out of range, or the folder cannot be written.
    """
    start, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    check_name(output_dir)
    with rc_context(rcParamsDefault):  # the user's own style does not apply
        figures = {
            "minimax_surface.png": surface_figure(game, start, step_x, step_y, steps),
            "minimax_paths.png": paths_figure(game, start),
            "minimax_convergence.png": convergence_figure(game, start, step_x, step_y, steps),
            "minimax_step_sizes.png": step_sizes_figure(game),
            "minimax_rotation.png": rotation_figure(),
        }
        for name, figure in figures.items():
            with written_whole(Path(output_dir, name)) as unfinished:
                figure.savefig(unfinished, dpi=150)
    return [Path(output_dir, name) for name in figures]


def surface_figure(game, start, step_x, step_y, steps):
    """The surface f with a path of descent/ascent and one of plain descent on both players."""
    # A quarter of the step sizes: with the full ones plain descent leaves the surface in two steps.
    step_x, step_y = max(step_x / 4, SMALLEST_STEP), max(step_y / 4, SMALLEST_STEP)
    figure = Figure(figsize=(8, 5.8))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.83), projection="3d", computed_zorder=False)
    reach = 1.5 * _reach(start)
    x, y = np.meshgrid(*[np.linspace(-reach, reach, 41)] * 2)
    surface = game.value(x, y)
    floor = surface.min() - 0.25 * np.ptp(surface)
    axes.plot_surface(
        x, y, surface, cmap="cividis", alpha=0.6, linewidth=0.2, edgecolor="white", zorder=1
    )
    for dynamics, label, style in (
        ("simultaneous", "x descends, y ascends", {"color": "black", "marker": "o"}),
        ("descent_on_both", "plain descent on both", {"color": _VERMILION, "marker": "X"}),
    ):
        path = minimax.simulate(game, dynamics, start, step_x, step_y, steps)
        outside = np.flatnonzero(np.max(np.abs(path), axis=1) > reach)
        path = path[: outside[0]] if outside.size else path
        axes.plot(*path.T, floor, color=style["color"], linewidth=1.2, linestyle=":", zorder=0)
        axes.plot(*path.T, game.value(*path.T), **style, markersize=4, label=label, zorder=3)
    axes.plot(0, 0, 0, **_SADDLE_POINT, linestyle="none", zorder=4, label="saddle point")
    f = game.value(*start)
    axes.plot(*start, f, "s", color=_BLUE, markersize=8, zorder=5, label="start")
    axes.set(xlabel="x", ylabel="y", zlim=(floor, surface.max()))
    axes.zaxis.set_rotate_label(False)  # otherwise the label is upside down
    axes.set_zlabel("f(x, y)", rotation=90)
    axes.view_init(elev=24, azim=28)
    axes.set_box_aspect((1, 1, 0.6), zoom=1.2)
    figure.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.86), ncols=4, frameon=False, fontsize=10
    )
    figure.suptitle(
        "Descent/ascent, and plain descent on both players, from the same start\n"
        f"f = {typeset(formula(game))}\na quarter of the step sizes, {_sizes(step_x, step_y)};"
        " dotted: seen from above",
        fontsize=11,
    )
    return figure


def paths_figure(game, start):
    """Paths of descent/ascent over contours of f, with other step sizes in each panel."""
    limit = _common_limit(game)
    reach = _reach(start)
    figure = Figure(figsize=(8.4, 6.6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    x, y = np.meshgrid(*[np.linspace(-reach, reach, 61)] * 2)
    surface = game.value(x, y)
    levels = np.linspace(-1, 1, 14) * np.abs(surface).max()
    field = np.stack([-game.gradient_x(x, y), game.gradient_y(x, y)])[:, ::6, ::6]
    length = np.hypot(*field)
    field = field / np.where(length, length, 1)
    # From a quarter of the limit to beyond it, for both players and then for one of them.
    for axes, (part_x, part_y) in zip(
        panels.flat, ((0.25, 0.25), (0.5, 0.5), (0.9, 0.2), (1, 1), (1.03, 1.03), (0.2, 1.03))
    ):
        step_x, step_y = part_x * limit, part_y * limit
        axes.contourf(x, y, surface, levels=levels, cmap="PuOr", alpha=0.45)
        axes.quiver(x[::6, ::6], y[::6, ::6], *field, color=_GREY, alpha=0.6, scale=19)
        run = minimax.simulate(game, "simultaneous", start, step_x, step_y, 30)
        axes.plot(*run.T, color="black", linewidth=0.8)
        points = axes.scatter(
            *run.T, c=np.arange(len(run)), cmap="viridis", vmin=0, vmax=30, s=22, zorder=3
        )
        axes.plot(*start, "s", color=_BLUE, markersize=9)
        axes.plot(0, 0, **_SADDLE_POINT)
        rate = f"{minimax.predicted_rate(game, 'simultaneous', step_x, step_y):.4g}"
        verdict = "on the border" if rate == "1" else "diverges" if float(rate) > 1 else "converges"
        axes.set_title(f"{_sizes(step_x, step_y)}\nrate {rate}: {verdict}", fontsize=9.5)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set(xlabel="x (minimises f)", ylabel="y (maximises f)")
        axes.label_outer()
    figure.colorbar(points, ax=panels, label="step", shrink=0.7)
    figure.suptitle(
        f"{_convergence(game)}\nf = {typeset(formula(game))}\nsquare: start, star: saddle point,"
        " arrows: direction of the players, purple: f > 0, orange: f < 0",
        fontsize=11,
    )
    return figure


def convergence_figure(game, start, step_x, step_y, steps):
    """The distance to the saddle point, measured and predicted, and what f shows instead."""
    figure = Figure(figsize=(8.8, 6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1))
    distances, upper = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
    lower = figure.add_subplot(grid[1, 1], sharex=upper)
    for dynamics in DYNAMICS:
        run = minimax.simulate(game, dynamics, start, step_x, step_y, min(steps, 30))
        rate = minimax.predicted_rate(game, dynamics, step_x, step_y)
        label = f"{dynamics.replace('_', ' ')}: {rate:.4g}"
        distance, measured = np.hypot(*run.T), minimax.measured_rate(run)
        step = np.flatnonzero(distance)  # a distance of 0 is not on a log scale
        if measured is not None and not np.isclose(measured, rate, atol=1e-3):
            label += f" ({measured:.4g} in this run)"  # it does not show the long run
        elif step.size and rate > 0:
            # The prediction is a slope: the line ends in the last point of the run.
            with np.errstate(over="ignore"):
                line = distance[step[-1]] * rate ** (step - step[-1])
            distances.plot(step, line, color=_STYLES[dynamics]["color"], linewidth=1.6)
        # Without coupling simultaneous and alternating coincide: the larger marker remains visible.
        style = {**_STYLES[dynamics], "markersize": 8.5 if dynamics == "simultaneous" else 5}
        distances.plot(step, distance[step], **style, linestyle="none", markevery=2, label=label)
    limit, flat = _common_limit(game), True
    for size, colour, style in ((0.75 * limit, "black", "-"), (1.08 * limit, _GREY, "--")):
        run = minimax.simulate(game, "simultaneous", start, size, size, 30)
        value = game.value(*run.T)
        flat = flat and not value.any()
        line = {"color": colour, "linestyle": style}
        upper.plot(value, **line, linewidth=2.4, label=f"$\\eta$ = {size:.4g}")
        lower.plot(np.hypot(*run.T), **line, linewidth=2.4)
    scale = "log" if any(start) else "linear"  # from (0, 0) every distance is 0
    distances.set(yscale=scale, xlabel="step")
    distances.set_ylabel(f"distance to the saddle point\n({scale} scale)")
    distances.set_title(
        f"dots: measured in a run, line: predicted slope\n{_sizes(step_x, step_y)}", fontsize=10
    )
    if flat:
        upper.set_ylim(-1, 1)
    upper.set_title("f stays 0 in both runs" if flat else "f in two runs", fontsize=10)
    upper.legend(fontsize=9)
    upper.set(ylabel="f(x, y)")
    upper.tick_params(labelbottom=False)
    lower.set(yscale=scale, xlabel="step", ylabel=f"distance\n({scale} scale)")
    lower.set_title("the distance in these runs", fontsize=10)
    for axes in (distances, upper, lower):
        axes.grid(alpha=0.25)
    rates = distances.get_legend_handles_labels()
    title = "predicted rate: the factor by which a step multiplies the distance"
    place = "outside lower center"
    figure.legend(*rates, loc=place, ncols=2, fontsize=10, title=title, frameon=False)
    figure.suptitle(f"Watch the distance, not f\nf = {typeset(formula(game))}", fontsize=12)
    return figure


def step_sizes_figure(game):
    """The rate for equal step sizes, and the region of (step_x, step_y) that converges."""
    limit = _common_limit(game)
    figure = Figure(figsize=(8.6, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)

    sizes = np.linspace(0.01, 1.25, 249) * limit
    rates = minimax.predicted_rate(game, "simultaneous", sizes, sizes)
    left.plot(sizes, rates, color=_BLUE, linewidth=2, label="predicted")
    tried = np.linspace(0.05, 1.25, 25) * limit
    measured = [_rate_of_a_run(game, size, size) for size in tried]
    left.plot(tried, measured, "o", color="black", markersize=5, label="measured in a run")
    left.axhline(1, color=_VERMILION, linestyle="--", linewidth=1.5, label="diverges above 1")
    left.set(xlabel="step size $\\eta$ of both players", ylabel="rate: distance factor per step")
    left.set(ylim=0, title="Rate of descent/ascent")
    left.legend(fontsize=9)
    left.grid(alpha=0.25)

    sizes = np.linspace(0, 1.3, 521) * limit  # fine enough to show sharp corners
    rates = minimax.predicted_rate(game, "simultaneous", *np.meshgrid(sizes, sizes))
    colours = colormaps["cividis"].with_extremes(over="#E8E8E8")
    levels = np.linspace(0, 1, 11)
    shade = right.contourf(sizes, sizes, rates, levels=levels, extend="max", cmap=colours)
    right.contour(sizes, sizes, rates, levels=[1], colors=[_VERMILION], linewidths=2)
    for x, y in itertools.product(np.linspace(0.15, 1.2, 8) * limit, repeat=2):
        marker, colour = ("o", "white") if _rate_of_a_run(game, x, y) < 1 else ("x", "black")
        right.plot(x, y, marker=marker, markersize=5, color=colour, markeredgecolor="black")
    right.set(xlabel="step size $\\eta_x$", ylabel="step size $\\eta_y$", aspect="equal")
    right.set_title("Runs that converge (o) and diverge (x)")
    figure.colorbar(shade, ax=right, label="predicted rate")
    figure.suptitle(f"{_convergence(game)}\nf = {typeset(formula(game))}", fontsize=12)
    return figure


def rotation_figure():
    """f = xy: simultaneous updates spiral outwards, alternating updates stay on an ellipse."""
    step_size = 0.25
    figure = Figure(figsize=(8.4, 4.4), layout="constrained")
    plane, distance = figure.subplots(1, 2)
    for dynamics in ("simultaneous", "alternating"):
        run = minimax.simulate(BILINEAR_GAME, dynamics, (1, 0), step_size, step_size, 40)
        style = {**_STYLES[dynamics], "markersize": 4, "linewidth": 1, "label": dynamics}
        plane.plot(*run.T, **style)
        distance.plot(np.hypot(*run.T), **style)
    reach = 1.05 * max(np.abs(plane.get_xlim() + plane.get_ylim()))
    x, y = np.meshgrid(*[np.linspace(-reach, reach, 200)] * 2)
    ellipse = x * x + y * y - step_size * x * y
    plane.contour(x, y, ellipse, levels=[1], colors="black", linestyles=":", zorder=3)
    plane.plot(0, 0, **_SADDLE_POINT)
    plane.set(xlabel="x (minimises f)", ylabel="y (maximises f)", aspect="equal", title="the paths")
    distance.set(xlabel="step", ylabel="distance to the saddle point", title="the distance")
    distance.set(ylim=0)
    distance.legend()
    for axes in (plane, distance):
        axes.grid(alpha=0.25)
    figure.suptitle(
        f"f = xy, both step sizes {step_size:g}: simultaneous updates spiral outwards,\nalternating"
        f" updates stay on the ellipse $x^2 + y^2 - {step_size:g}\\, xy = 1$ (dotted)",
        fontsize=11,
    )
    return figure


def _common_limit(game):
    """Up to which equal step sizes converge; if there is no limit, a suitable step size."""
    limit = min(minimax.step_size_limits(game).values())
    return limit or 0.4 / np.max(np.abs(game.hessian))


def _convergence(game):
    """Which step sizes converge, as the title of a figure."""
    limits = minimax.step_size_limits(game)
    if game.c == 0:
        limits = f"for $\\eta_x$ < {limits['x']:.4g} and $\\eta_y$ < {limits['y']:.4g}"
    else:
        both = limits["both"]
        limits = f"for equal step sizes below {both:.4g}" if both else "for no step sizes"
    return f"Descent/ascent converges {limits}"


def _rate_of_a_run(game, step_x, step_y):
    run = minimax.simulate(game, "simultaneous", (1.0, 0.7), step_x, step_y, 40)
    return minimax.measured_rate(run)


def _sizes(step_x, step_y):
    return f"$\\eta_x$ = {step_x:.4g}, $\\eta_y$ = {step_y:.4g}"


def _reach(start):
    return 1.6 * max(map(abs, start)) or 1.0
