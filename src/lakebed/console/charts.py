"""From a query's result to charts: which columns are dimensions, which measures, and what to draw of them. Pure.

A dimension is a text, date or boolean column, or an integer called like a part of time (month, day, hour). Counts add up;
a column called ``average_…`` or ``avg_…`` is averaged, weighted by the first count, and the chart says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TIME_NAMES = ("year", "quarter", "month", "week", "day", "date", "hour")
_TEXT = ("varchar", "char", "string", "date", "timestamp", "boolean")
_SERIES_MAX, _BARS_MAX = 8, 24


@dataclass(frozen=True, slots=True)
class Result:
    """A query's result: column names, their Athena types, rows of text (None: NULL)."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[Sequence[str | None]]

    @property
    def dimensions(self) -> list[str]:
        """Columns to group by."""
        return [
            name for name, kind in zip(self.columns, self.types, strict=True) if kind.startswith(_TEXT) or is_time(name)
        ]

    @property
    def measures(self) -> list[str]:
        """Columns to add up or to average."""
        return [name for name in self.columns if name not in self.dimensions]

    @property
    def weight(self) -> str | None:
        """The first measure that counts: what averages are weighted by."""
        return next((name for name in self.measures if not is_average(name)), None)


def is_time(name: str) -> bool:
    """Whether a column is an ordered part of time."""
    return name.lower() in _TIME_NAMES or name.lower().endswith(("_date", "_month", "_day", "_hour"))


def is_average(name: str) -> bool:
    """Whether a measure is averaged instead of added."""
    return name.lower().startswith(("average", "avg", "mean"))


def words(name: str) -> str:
    """``average_departure_delay`` -> ``average departure delay``."""
    return name.replace("_", " ")


def total(result: Result, measure: str, by: Sequence[str] = ()) -> dict[tuple[str, ...], float]:
    """The measure for each combination of ``by`` (all: one entry under the empty key)."""
    at = {name: place for place, name in enumerate(result.columns)}
    weight = result.weight if is_average(measure) else None
    sums: dict[tuple[str, ...], float] = {}
    weights: dict[tuple[str, ...], float] = {}
    for row in result.rows:
        value = row[at[measure]]
        if value is None:
            continue
        key = tuple(row[at[name]] or "∅" for name in by)
        share = float(row[at[weight]] or 0) if weight else 1.0
        sums[key] = sums.get(key, 0.0) + float(value) * share
        weights[key] = weights.get(key, 0.0) + share
    if not is_average(measure):
        return sums
    return {key: value / weights[key] for key, value in sums.items() if weights[key]}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart: its title, what it is made of in one sentence, an ECharts option, whether it needs height."""

    title: str
    note: str
    option: Mapping[str, Any]
    tall: bool = False


def charts(result: Result) -> list[Drawn]:
    """Up to four charts that suit the columns; none where there is no measure or no dimension."""
    if not result.rows or not result.dimensions or not result.measures:
        return []
    headline = next((name for name in result.measures if is_average(name)), result.measures[0])
    # A time with one value has no course to draw.
    times = [name for name in result.dimensions if is_time(name) and len(_values(result, name)) > 1]
    kinds = sorted(
        (name for name in result.dimensions if not is_time(name)), key=lambda name: len(_values(result, name))
    )
    drawn = []
    if times:
        drawn.append(_lines(result, headline, times[0], kinds[0] if kinds else None))
    drawn += [_bars(result, headline, name) for name in kinds[-1:]]
    if times and kinds:
        drawn.append(_heat(result, headline, kinds[-1], times[0]))
    elif len(kinds) > 1:
        drawn.append(_heat(result, headline, kinds[-1], kinds[0]))
    if result.weight and result.weight != headline and (times or kinds):
        over = times[0] if times else kinds[-1]
        drawn.append(_stack(result, result.weight, over, kinds[0] if kinds and kinds[0] != over else None))
    return drawn


def _values(result: Result, name: str) -> list[str]:
    at = list(result.columns).index(name)
    values = {row[at] or "∅" for row in result.rows}
    return sorted(
        values, key=lambda value: (0, float(value), "") if value.replace(".", "", 1).isdigit() else (1, 0.0, value)
    )


def _note(result: Result, measure: str) -> str:
    return f"average weighted by {words(result.weight)}" if is_average(measure) and result.weight else "sum"


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], moment: Callable[[float], str]) -> dict[str, Any]:
    """The option of measured values over time, a line for each name; ``moment`` writes a time as ISO 8601."""
    series = [
        {
            "name": name,
            "type": "line",
            "symbolSize": 5,
            "showSymbol": len(points) < 60,
            "data": [[moment(at), _round(value)] for at, value in points],
        }
        for name, points in lines.items()
    ]
    return {
        "grid": _grid(),
        "legend": {"top": 0, "right": 8, "type": "scroll"},
        "tooltip": {"trigger": "axis"},
        "useUTC": True,
        "xAxis": {"type": "time", "splitLine": {"show": False}},
        "yAxis": {"type": "value", "axisLine": {"show": False}},
        "series": series,
    }


def _grid() -> dict[str, Any]:
    return {"left": 8, "right": 16, "top": 36, "bottom": 8, "containLabel": True}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _lines(result: Result, measure: str, time: str, kind: str | None) -> Drawn:
    moments = _values(result, time)
    names = _values(result, kind)[:_SERIES_MAX] if kind else [words(measure)]
    values = total(result, measure, (time, kind) if kind else (time,))
    series = [
        {
            "name": name,
            "type": "line",
            "smooth": 0.25,
            "symbolSize": 6,
            "data": [_round(values.get((moment, name) if kind else (moment,))) for moment in moments],
        }
        for name in names
    ]
    title = f"{words(measure).capitalize()} by {words(time)}" + (f" and {words(kind)}" if kind else "")
    return Drawn(
        title,
        _note(result, measure),
        {
            "grid": _grid(),
            "legend": {"top": 0, "right": 8} if kind else None,
            "tooltip": {"trigger": "axis"},
            "xAxis": {"type": "category", "data": moments, "boundaryGap": False, "splitLine": {"show": False}},
            "yAxis": {"type": "value", "axisLine": {"show": False}},
            "series": series,
        },
    )


def _bars(result: Result, measure: str, kind: str) -> Drawn:
    values = sorted(((value, key[0]) for key, value in total(result, measure, (kind,)).items()), reverse=True)[
        :_BARS_MAX
    ]
    values.reverse()
    return Drawn(
        f"{words(measure).capitalize()} by {words(kind)}",
        _note(result, measure),
        {
            "grid": _grid() | {"top": 8},
            "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
            "xAxis": {"type": "value", "axisLine": {"show": False}},
            "yAxis": {"type": "category", "data": [name for _, name in values], "splitLine": {"show": False}},
            "series": [
                {
                    "type": "bar",
                    "name": words(measure),
                    "barMaxWidth": 16,
                    "itemStyle": {"borderRadius": [0, 4, 4, 0]},
                    "data": [_round(value) for value, _ in values],
                }
            ],
        },
        tall=len(values) > 12,
    )


def _heat(result: Result, measure: str, rows: str, columns: str) -> Drawn:
    across, down = _values(result, columns), _values(result, rows)[:_BARS_MAX]
    values = total(result, measure, (rows, columns))
    cells = [
        (x, y, round(values[down[y], across[x]], 2))
        for y in range(len(down))
        for x in range(len(across))
        if (down[y], across[x]) in values
    ]
    figures = sorted(cell[2] for cell in cells)
    # The middle nine tenths set the colours: one odd month must not make all others look alike.
    low, high = figures[len(figures) // 20], figures[-1 - len(figures) // 20]
    return Drawn(
        f"{words(measure).capitalize()}: {words(rows)} by {words(columns)}",
        _note(result, measure),
        {
            "grid": _grid() | {"bottom": 72, "top": 8},
            "tooltip": {"position": "top"},
            "xAxis": {"type": "category", "data": across},
            "yAxis": {"type": "category", "data": down},
            "visualMap": {
                "min": low,
                "max": high,
                "calculable": True,
                "orient": "horizontal",
                "left": "center",
                "bottom": 0,
            },
            "series": [{"type": "heatmap", "name": words(measure), "data": cells, "label": {"show": False}}],
        },
        tall=True,
    )


def _stack(result: Result, measure: str, over: str, kind: str | None) -> Drawn:
    moments = _values(result, over)
    names = _values(result, kind)[:_SERIES_MAX] if kind else [words(measure)]
    values = total(result, measure, (over, kind) if kind else (over,))
    return Drawn(
        f"{words(measure).capitalize()} by {words(over)}" + (f" and {words(kind)}" if kind else ""),
        _note(result, measure),
        {
            "grid": _grid(),
            "legend": {"top": 0, "right": 8} if kind else None,
            "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
            "xAxis": {"type": "category", "data": moments, "splitLine": {"show": False}},
            "yAxis": {"type": "value", "axisLine": {"show": False}},
            "series": [
                {
                    "name": name,
                    "type": "bar",
                    "stack": "all",
                    "barMaxWidth": 34,
                    "data": [_round(values.get((moment, name) if kind else (moment,))) for moment in moments],
                }
                for name in names
            ],
        },
    )
