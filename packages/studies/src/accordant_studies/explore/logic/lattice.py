"""The lattice of structures: which entails which, drawn in characters or as a figure.

Knows structures and their names. Knows nothing of scores. Above stands what asks for more, whose
loss is nowhere smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant_studies.explore.logic.structures import Structure, relation

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, slots=True)
class Lattice:
    """Structures in order.

    Args:
        classes: names of equivalent structures, one tuple for each meaning.
        meanings: the structure of every class.
        covers: pairs of classes (i, j) where i entails j and nothing lies between.
        layers: classes by height, from those that entail most to those entailed.
    """

    classes: tuple[tuple[str, ...], ...]
    meanings: tuple[Structure, ...]
    covers: tuple[tuple[int, int], ...]
    layers: tuple[tuple[int, ...], ...]


def build_lattice(structures: Mapping[str, Structure]) -> Lattice:
    """Put named structures in the order of entailment."""
    classes: list[list[str]] = []
    meanings: list[Structure] = []
    for name, structure in structures.items():
        same = [i for i, m in enumerate(meanings) if relation(structure, m) == "equivalent"]
        if same:
            classes[same[0]].append(name)
        else:
            classes.append([name])
            meanings.append(structure)
    places = range(len(classes))
    below = {
        i: {j for j in places if relation(meanings[i], meanings[j]) == "entails"} for i in places
    }
    covers = [(i, j) for i in places for j in below[i] if not any(j in below[k] for k in below[i])]
    height = dict.fromkeys(places, 0)
    for i in sorted(places, key=lambda i: -len(below[i])):
        for j in below[i]:
            height[j] = max(height[j], height[i] + 1)
    layers = [tuple(i for i in places if height[i] == h) for h in range(max(height.values()) + 1)]
    return Lattice(
        tuple(map(tuple, classes)), tuple(meanings), tuple(sorted(covers)), tuple(layers)
    )


def draw_text(lattice: Lattice) -> str:
    """Draw the lattice in characters: layer by layer, each class with what it entails."""
    lines = []
    for depth, layer in enumerate(lattice.layers):
        lines.append(f"layer {depth + 1}" + (": nothing given entails these" if not depth else ""))
        for i in layer:
            lines.append(f"  {_title(lattice, i)}")
            lines.append(f"      {lattice.meanings[i]}")
            lines.extend(f"      entails {_title(lattice, j)}" for k, j in lattice.covers if k == i)
    return "\n".join(lines)


def draw_figure(lattice: Lattice) -> Figure:
    """Draw the lattice as a plotly figure: an edge leads down to what is entailed."""
    import plotly.graph_objects as go

    place = {
        i: ((k + 1) / (len(layer) + 1), -depth)
        for depth, layer in enumerate(lattice.layers)
        for k, i in enumerate(layer)
    }
    figure = go.Figure()
    for upper, lower in lattice.covers:
        (x0, y0), (x1, y1) = place[upper], place[lower]
        figure.add_trace(
            go.Scatter(
                x=[x0, x1], y=[y0, y1], mode="lines", line={"color": "#8a8f98"}, hoverinfo="skip"
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[place[i][0] for i in place],
            y=[place[i][1] for i in place],
            mode="markers+text",
            marker={"size": 14, "color": "#2f7ed8"},
            text=[_title(lattice, i) for i in place],
            textposition="top center",
            hovertext=[str(lattice.meanings[i]) for i in place],
            hoverinfo="text",
        )
    )
    figure.update_layout(
        template="none",
        showlegend=False,
        height=160 + 110 * len(lattice.layers),
        margin={"l": 24, "r": 24, "t": 34, "b": 24},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(visible=False, range=[0.6 - len(lattice.layers), 0.6])
    return figure


def _title(lattice: Lattice, i: int) -> str:
    return " = ".join(lattice.classes[i])
