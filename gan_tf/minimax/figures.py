"""Figures of the minimax toy, and its animation: what `minimax` computes, drawn."""

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gan_tf import minimax
from gan_tf.minimax import BILINEAR_GAME, HOMEWORK_GAME
from gan_tf.minimax.answers import START, STEP_SIZE, STEPS
from gan_tf.minimax.dynamics import SMALLEST_STEP, checked_arguments
from gan_tf.minimax.games import formula, typeset
from gan_tf.minimax.theory import verdict
from gan_tf.system.files import check_name, written_whole

# Okabe & Ito's colours: told apart with every common kind of colour blindness.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, GREY = "#CC79A7", "#6E6E6E"

# colour and marker, so that neither carries the meaning alone
STYLES = {
    "simultaneous": (VERMILION, "o"),
    "alternating": (BLUE, "s"),
    "descent_on_both": (ORANGE, "X"),
    "extragradient": (GREEN, "^"),
    "optimistic": (PURPLE, "D"),
}
LABELS = {name: name.replace("_", " ") for name in STYLES}


def write_figures(
    game=HOMEWORK_GAME,
    start=START,
    step_x=STEP_SIZE,
    step_y=STEP_SIZE,
    steps=STEPS,
    output_dir=".",
):
    """Draws every figure and the animation, each put in place only when it is whole.

    Args:
      game: a QuadraticGame.
      start, step_x, step_y, steps: as for `minimax.simulate`.
      output_dir: a folder, made where it is missing.

    Returns:
      list of Path, in the order of the assignment's parts.

    Raises:
      UserError: an argument is out of range, or the folder cannot be written.
    """
    start, step_x, step_y, steps = checked_arguments(start, step_x, step_y, steps)
    check_name(output_dir)
    with rc_context(rcParamsDefault):  # whatever the user's own style is
        figures = {
            "minimax_surface.png": surface_figure(game, start, step_x, step_y, steps),
            "minimax_paths.png": paths_figure(game, start),
            "minimax_convergence.png": convergence_figure(game, start, step_x, step_y, steps),
            "minimax_step_sizes.png": step_sizes_figure(game),
        }
        frames, durations = rotation_frames()
        paths = [Path(output_dir, name) for name in (*figures, "minimax_rotation.gif")]
        for path, figure in zip(paths, figures.values()):
            with written_whole(path) as unfinished:
                figure.savefig(unfinished, dpi=150)
        with written_whole(paths[-1]) as unfinished:
            imageio.imwrite(unfinished, frames, extension=".gif", duration=durations, loop=0)
    return paths


# ----------------------------------------------------------------------------------------- figures


def surface_figure(game, start, step_x, step_y, steps):
    """The surface f, with the paths of descent/ascent and of plain descent on both players."""
    # A quarter of the step sizes: with whole ones plain descent is off the surface in two steps.
    step_x, step_y = max(step_x / 4, SMALLEST_STEP), max(step_y / 4, SMALLEST_STEP)
    figure = Figure(figsize=(8, 5.8))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.83), projection="3d", computed_zorder=False)
    reach = 1.5 * _reach(start)
    x, y = np.meshgrid(np.linspace(-reach, reach, 41), np.linspace(-reach, reach, 41))
    surface = game.value(x, y)
    floor = surface.min() - 0.25 * np.ptp(surface)
    axes.plot_surface(
        x, y, surface, cmap="cividis", alpha=0.6, linewidth=0.2, edgecolor="white", zorder=1
    )
    for dynamics, label, colour in (
        ("simultaneous", "x descends, y ascends", "black"),
        ("descent_on_both", "plain descent on both", VERMILION),
    ):
        path = minimax.simulate(game, dynamics, start, step_x, step_y, steps).trajectory
        outside = np.flatnonzero(np.max(np.abs(path), axis=1) > reach)
        path = path[: outside[0]] if outside.size else path
        axes.plot(*path.T, floor, color=colour, linewidth=1.2, linestyle=":", zorder=0)
        axes.plot(
            *path.T, game.value(*path.T), color=colour, marker=STYLES[dynamics][1],
            markersize=4, linewidth=1.6, label=label, zorder=3,
        )  # fmt: skip
    axes.scatter(
        0, 0, 0, marker="*", s=260, color="white", edgecolor="black", zorder=4,
        label=_origin(game),
    )  # fmt: skip
    axes.scatter(
        *start, game.value(*start), marker="s", s=70, color=BLUE, edgecolor="black", zorder=5,
        label="start",
    )  # fmt: skip
    axes.set(xlabel="x", ylabel="y", zlim=(floor, surface.max()))
    axes.zaxis.set_rotate_label(False)  # left to turn by itself, the label stands on its head
    axes.set_zlabel("f(x, y)", rotation=90)
    axes.view_init(elev=24, azim=28)
    axes.set_box_aspect((1, 1, 0.6), zoom=1.2)
    figure.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.86), ncols=4, frameon=False, fontsize=10
    )
    figure.suptitle(
        "Descent/ascent and plain descent on both, from one start\n"
        f"f = {typeset(formula(game))}\n{_sizes(step_x, step_y)}; dotted: seen from above",
        fontsize=11,
    )
    return figure


def paths_figure(game, start):
    """Paths of descent/ascent over contours of f and the vector field, a step size per panel."""
    limit = _common_limit(game)
    reach = _reach(start)
    figure = Figure(figsize=(8.4, 6.6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    x, y = np.meshgrid(np.linspace(-reach, reach, 61), np.linspace(-reach, reach, 61))
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
        axes.quiver(x[::6, ::6], y[::6, ::6], *field, color=GREY, alpha=0.6, scale=19)
        run = minimax.simulate(game, "simultaneous", start, step_x, step_y, 30).trajectory
        axes.plot(*run.T, color="black", linewidth=0.8)
        points = axes.scatter(
            *run.T, c=np.arange(len(run)), cmap="viridis", vmin=0, vmax=30, s=22, zorder=3
        )
        axes.plot(*start, color=BLUE, marker="s", markersize=9, linestyle="none")
        axes.plot(0, 0, color="white", markeredgecolor="black", marker="*", markersize=14)
        rate = minimax.predicted_rate(game, "simultaneous", step_x, step_y)
        axes.set_title(f"{_sizes(step_x, step_y)}\nrate {rate:.4g}: {verdict(rate)}", fontsize=9.5)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    figure.colorbar(points, ax=panels, label="step", shrink=0.7)
    for axes in panels[1]:
        axes.set_xlabel("x (minimises f)")
    for axes in panels[:, 0]:
        axes.set_ylabel("y (maximises f)")
    message = (
        f"Descent/ascent converges with equal step sizes below {limit:.4g}"
        if minimax.step_size_range(game, "both")
        else "Descent/ascent converges with no equal step sizes"
    )
    figure.suptitle(
        f"{message}\nf = {typeset(formula(game))}\n"
        f"square: start, star: {_origin(game)}, arrows: where the players move, "
        "purple: f > 0, orange: f < 0",
        fontsize=11,
    )
    return figure


def convergence_figure(game, start, step_x, step_y, steps):
    """Distance to the saddle point, measured over predicted, and what f has one believe."""
    figure = Figure(figsize=(8.8, 6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1))
    distances, upper = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
    lower = figure.add_subplot(grid[1, 1], sharex=upper)
    _draw_distances(distances, game, start, step_x, step_y, min(steps, 30))
    _draw_value_and_distance(upper, lower, game, start)
    log_scale = "\n(log scale)" if any(start) else ""  # from (0, 0) every distance is 0
    distances.set(xlabel="step", ylabel=f"distance to the {_origin(game)}{log_scale}")
    distances.set_title(
        f"dots: a run, line: the slope predicted for it\n{_sizes(step_x, step_y)}", fontsize=10
    )
    upper.set(ylabel="f(x, y)")
    upper.tick_params(labelbottom=False)
    no_gap = game.duality_gap(0, 0) is None
    lower.set(xlabel="step", ylabel=f"distance{'' if no_gap else ', gap'}{log_scale}")
    lower.set_title("distance" if no_gap else "distance (thick), duality gap (dots)", fontsize=10)
    for axes in (distances, upper, lower):
        axes.grid(alpha=0.25)
    if log_scale:
        distances.set_yscale("log")
        lower.set_yscale("log")
    figure.legend(
        *distances.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10,
        title="predicted rate: factor of the distance per step", frameon=False,
    )  # fmt: skip
    figure.suptitle(f"Watch the distance, not f\nf = {typeset(formula(game))}", fontsize=12)
    return figure


def _draw_distances(axes, game, start, step_x, step_y, steps):
    for dynamics, (colour, marker) in STYLES.items():
        rate = minimax.predicted_rate(game, dynamics, step_x, step_y)
        run = minimax.simulate(game, dynamics, start, step_x, step_y, steps).trajectory
        label = f"{LABELS[dynamics]}: {rate:.4g}"
        distance = np.hypot(*run.T)
        at = np.flatnonzero(distance)  # zero, reached exactly, is nowhere on a log axis
        measured = minimax.measured_rate(run)
        if measured is not None and not np.isclose(measured, rate, atol=1e-3):
            label += f" (here {measured:.4g})"  # this start excites only a part of the dynamics
        elif at.size and rate > 0:
            # The prediction is a slope; hang it on the last point of the run.
            line = np.log10(distance[at[-1]]) + (at - at[-1]) * np.log10(rate)
            shown = np.abs(line) < 300
            axes.plot(at[shown], 10 ** line[shown], color=colour, linewidth=1.6)
        # Where two coincide (without coupling, simultaneous and alternating), the larger one shows.
        size = 8.5 if dynamics == "simultaneous" else 5
        axes.plot(
            at, distance[at], color=colour, marker=marker, markersize=size, linestyle="none",
            markevery=2, label=label,
        )  # fmt: skip


def _draw_value_and_distance(upper, lower, game, start):
    limit = _common_limit(game)
    flat = True
    for part, colour, style in ((0.75, "black", "-"), (1.08, GREY, "--")):
        size = part * limit
        run = minimax.simulate(game, "simultaneous", start, size, size, 30).trajectory
        line = {"color": colour, "linestyle": style}
        value, gap = game.value(*run.T), game.duality_gap(*run.T)
        flat = flat and not value.any()
        upper.plot(value, **line, linewidth=2.4, label=f"$\\eta$ = {size:.4g}")
        lower.plot(_log_safe(np.hypot(*run.T)), **line, linewidth=2.4)
        if gap is not None:
            lower.plot(_log_safe(gap), **line, linewidth=1, marker=".")
    if flat:
        upper.set_ylim(-1, 1)
    upper.set_title("f stays 0 in both runs" if flat else "f in two runs", fontsize=10)
    upper.legend(fontsize=9, loc="best")


def step_sizes_figure(game):
    """Rate against a common step size with measured dots, and the region of (step_x, step_y)."""
    limit = _common_limit(game)
    figure = Figure(figsize=(8.6, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)

    sizes = np.linspace(0.01, 1.25, 249) * limit
    left.plot(
        sizes, minimax.predicted_rate(game, "simultaneous", sizes, sizes),
        color=BLUE, linewidth=2, label="predicted",
    )  # fmt: skip
    tried = np.linspace(0.05, 1.25, 25) * limit
    left.plot(
        tried, [_rate_of_a_run(game, size, size) for size in tried],
        color="black", marker="o", markersize=5, linestyle="none", label="measured from a run",
    )  # fmt: skip
    left.axhline(1, color=VERMILION, linestyle="--", linewidth=1.5, label="diverges above 1")
    left.set(
        xlabel="step size $\\eta$ of both players",
        ylabel="rate: factor of the distance per step",
        ylim=0,
    )
    separable_and_equal = game.c == 0 and game.a == game.b > 0
    left.set_title(
        f"Rate |1 − {2 * game.a:g} $\\eta$|" if separable_and_equal else "Rate of descent/ascent",
        fontsize=11,
    )
    left.legend(fontsize=9, loc="best")
    left.grid(alpha=0.25)

    sizes = np.linspace(0, 1.3, 521) * limit  # fine enough for corners that look like corners
    rates = minimax.predicted_rate(game, "simultaneous", *np.meshgrid(sizes, sizes))
    shade = right.contourf(
        sizes, sizes, rates, levels=np.linspace(0, 1, 11), extend="max",
        cmap=colormaps["cividis"].with_extremes(over="#E8E8E8"),
    )  # fmt: skip
    right.contour(sizes, sizes, rates, levels=[1], colors=[VERMILION], linewidths=2)
    for x in np.linspace(0.15, 1.2, 8) * limit:
        for y in np.linspace(0.15, 1.2, 8) * limit:
            rate = _rate_of_a_run(game, x, y)
            right.plot(
                x, y, marker="o" if rate < 1 else "x", markersize=5,
                color="white" if rate < 1 else "black", markeredgecolor="black",
            )  # fmt: skip
    right.set(xlabel="step size $\\eta_x$", ylabel="step size $\\eta_y$", aspect="equal")
    right.set_title("Where runs converge (o) and diverge (x)", fontsize=11)
    figure.colorbar(shade, ax=right, label="predicted rate")
    message = (
        f"Both step sizes must stay below {limit:.4g}"
        if separable_and_equal
        else "Which step sizes converge"
    )
    figure.suptitle(f"{message}\nf = {typeset(formula(game))}", fontsize=12)
    return figure


def rotation_frames(step_size=0.25, steps=40):
    """Draws the animation of f = xy: simultaneous spirals out, alternating keeps to its ellipse.

    Returns:
      [steps + 1, height, width, 3] uint8, and a list of how long each frame is shown, in ms.
    """
    figure = Figure(figsize=(8, 4.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    plane, distance = figure.subplots(1, 2)
    runs, artists = {}, {}
    for dynamics in ("simultaneous", "alternating"):
        runs[dynamics] = minimax.simulate(
            BILINEAR_GAME, dynamics, (1, 0), step_size, step_size, steps
        ).trajectory
        colour, marker = STYLES[dynamics]
        artists[dynamics] = [
            *plane.plot([], [], color=colour, linewidth=1.5),
            *plane.plot([], [], color=colour, marker=marker, markersize=10),
            *distance.plot([], [], color=colour, linewidth=2.5, label=dynamics),
        ]
    farthest = 1.08 * np.hypot(*runs["simultaneous"].T).max()
    plane.plot(0, 0, color="black", marker="*", markersize=12)
    plane.plot(*_conserved_ellipse(step_size).T, color=GREY, linewidth=1, linestyle=":")
    plane.set(xlim=(-farthest, farthest), ylim=(-farthest, farthest), aspect="equal")
    plane.set(xlabel="x (minimises f)", ylabel="y (maximises f)", title="the two players")
    distance.set(xlim=(0, steps), ylim=(0, farthest))
    distance.set(xlabel="step", ylabel="distance to the saddle point", title="how far from solved")
    distance.legend(loc="upper left")
    for axes in (plane, distance):
        axes.grid(alpha=0.25)
    figure.suptitle(
        f"f = $xy$, step size {step_size:g}: at once they spiral out, in turns they keep to the"
        f" ellipse\n$x^2 + y^2 - {step_size:g}\\, xy = 1$ (dotted)",
        fontsize=11,
    )

    # Axes and text are drawn once; a frame is a copy of them with the lines so far on top.
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    frames = []
    for step in range(steps + 1):
        canvas.restore_region(background)
        for dynamics, (trail, head, curve) in artists.items():
            path = runs[dynamics][: step + 1]
            trail.set_data(*path.T)
            head.set_data(*path[-1:].T)
            curve.set_data(np.arange(step + 1), np.hypot(*path.T))
            for artist in (trail, head, curve):
                artist.axes.draw_artist(artist)
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames), [100] * steps + [2000]


# ------------------------------------------------------------------------------------------ helpers


def _conserved_ellipse(step_size):
    """Points of x^2 + y^2 - step_size xy = 1, on which taking turns stays from (1, 0)."""
    angle = np.linspace(0, 2 * np.pi, 200)
    along, across = np.sqrt(2 / (2 - step_size)), np.sqrt(2 / (2 + step_size))  # its half axes
    u, v = along * np.cos(angle), across * np.sin(angle)  # on the diagonals of the plane
    return np.stack([u - v, u + v], axis=-1) / np.sqrt(2)


def _common_limit(game):
    """The step size up to which both players converge, or where there is none, a moderate one."""
    interval = minimax.step_size_range(game, "both")
    return interval[1] if interval else 0.4 / np.max(np.abs(game.hessian))


def _rate_of_a_run(game, step_x, step_y):
    run = minimax.simulate(game, "simultaneous", (1.0, 0.7), step_x, step_y, 40)
    return minimax.measured_rate(run.trajectory)


def _origin(game):
    return "saddle point" if game.is_minimax else "stationary point"


def _sizes(step_x, step_y):
    return f"$\\eta_x$ = {step_x:.4g}, $\\eta_y$ = {step_y:.4g}"


def _reach(start):
    return 1.6 * max(abs(start[0]), abs(start[1])) or 1.0


def _log_safe(values):
    """Leaves out zeros, which are nowhere on a log axis."""
    return np.where(values > 0, values, np.nan)
