"""The lattice of structures: which entails which, in characters or as a chart.

Knows structures and their names. Knows nothing of scores. Above stands what asks for more, whose
loss is nowhere smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accordant.statistics.charts import Chart, Series
from accordant_studies.explore.logic.structures import Structure, relation


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


def lattice_chart(lattice: Lattice) -> Chart:
    """Return the lattice as a chart: a line leads down to what is entailed."""
    place = {
        i: ((k + 1) / (len(layer) + 1), -float(depth))
        for depth, layer in enumerate(lattice.layers)
        for k, i in enumerate(layer)
    }
    lines = tuple(
        Series(
            "",
            (place[upper][1], place[lower][1]),
            (place[upper][0], place[lower][0]),
            look="start",
            style="line",
        )
        for upper, lower in lattice.covers
    )
    classes = Series(
        "structures",
        tuple(y for _, y in place.values()),
        tuple(x for x, _ in place.values()),
        labels=tuple(_title(lattice, i) for i in place),
        look="wanted",
        style="labelled",
    )
    return Chart(
        "points",
        "Entailment",
        "A line leads down from a structure to what it entails: above, more is asked for.",
        "",
        "",
        (*lines, classes),
        wide=True,
        height=160 + 110 * len(lattice.layers),
    )


def _title(lattice: Lattice, i: int) -> str:
    return " = ".join(lattice.classes[i])
