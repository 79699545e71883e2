"""What a panel shows in, a panel of Grafana's Foundation SDK out: one small function a kind.

Every panel has a description that says what to do when it looks bad. A colour means a share of the
policy's limit or a state; a series named `limit` is drawn dashed and red. Numbers and states are
asked for now, and never the last that there was: a source that is away must not look well.
Fields: https://grafana.com/docs/grafana/v11.6/panels-visualizations/.
"""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel = (
    bargauge.Panel
    | heatmap.Panel
    | stat.Panel
    | statetimeline.Panel
    | table.Panel
    | timeseries.Panel
)
Queried = TypeVar(
    "Queried",
    bargauge.Panel,
    heatmap.Panel,
    stat.Panel,
    statetimeline.Panel,
    table.Panel,
    timeseries.Panel,
)
Coloured = TypeVar("Coloured", bargauge.Panel, stat.Panel, statetimeline.Panel)
Query = prometheus.Dataquery
Steps = Sequence[tuple[float, str]]  # from this value on, that colour; below the first: green
Texts = Mapping[int, tuple[str, str]]  # a number's word and colour

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
SHARE_OF_LIMIT: Steps = ((0.8, "orange"), (1.0, "red"))
ANY_IS_BAD: Steps = ((1, "red"),)
PLAIN: Steps = ()


def query(expr: str, legend: str = "") -> Query:
    """A query over the dashboard's time range; `legend` names its series: `{{label}}`."""
    return Query().expr(expr).legend_format(legend).range()


def now(expr: str, legend: str = "") -> Query:
    """A query for what is true at the end of the time range."""
    return Query().expr(expr).legend_format(legend).instant()


def buckets(expr: str) -> Query:
    """A query for a histogram's buckets, by `le`."""
    return query(expr, "{{le}}").format(PromQueryFormat.HEATMAP)


def rows(expr: str) -> Query:
    """A query for a table: a row a series, a column a label."""
    return now(expr).format(PromQueryFormat.TABLE)


def number(
    title: str,
    about: str,
    *targets: Query,
    unit: str = "short",
    steps: Steps = PLAIN,
    decimals: int | None = None,
    texts: Texts | None = None,
    empty: str = "unknown",
    link: tuple[str, str] | None = None,
) -> stat.Panel:
    """A number, or a few, of now; coloured only where there are steps.

    `texts`: of numbers that stand for a word. `empty`: of no series.
    """
    mode = BigValueColorMode.VALUE if steps else BigValueColorMode.NONE
    panel = _framed(stat.Panel(), title, about, targets, link)
    panel = _stepped(panel, steps).unit(unit).color_mode(mode).no_value(empty)
    if any(target.build().legend_format for target in targets):
        panel = panel.text_mode(BigValueTextMode.VALUE_AND_NAME)
    panel = panel.graph_mode(BigValueGraphMode.NONE)
    if texts:
        panel = panel.mappings(_words(texts))
    return panel if decimals is None else panel.decimals(decimals)


def state(
    title: str,
    about: str,
    target: Query,
    texts: Texts,
    *,
    empty: str = "unknown",
    link: tuple[str, str] | None = None,
) -> stat.Panel:
    """A word on its colour. `empty` is said where the source of it is away."""
    panel = _framed(stat.Panel(), title, about, [target], link)
    panel = panel.mappings(_words(texts)).no_value(empty).graph_mode(BigValueGraphMode.NONE)
    return _stepped(panel, ()).color_mode(BigValueColorMode.BACKGROUND)


def lines(
    title: str,
    about: str,
    *targets: Query,
    unit: str = "short",
    stacked: bool = False,
    stepped: bool = False,
    link: tuple[str, str] | None = None,
) -> timeseries.Panel:
    """Few lines over time from zero on; `low` and `high` are the pale band of an interval."""
    panel = _framed(timeseries.Panel(), title, about, targets, link).unit(unit).min(0)
    panel = panel.line_width(2).fill_opacity(30 if stacked else 0).show_points(VisibilityMode.NEVER)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if stepped:
        panel = panel.line_interpolation(LineInterpolation.STEP_AFTER)
    everything = (
        common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    )
    return _marked(panel.legend(_legend()).tooltip(everything))


def bars(
    title: str,
    about: str,
    target: Query,
    *,
    unit: str = "short",
    steps: Steps = PLAIN,
    top: float | None = None,
    link: tuple[str, str] | None = None,
) -> bargauge.Panel:
    """A bar a series, now; `top` is the bar's full length."""
    panel = _framed(bargauge.Panel(), title, about, [target], link).unit(unit).min(0)
    panel = _stepped(panel, steps or ((0.0, "blue"),)).orientation(VizOrientation.HORIZONTAL)
    panel = panel.display_mode(BarGaugeDisplayMode.BASIC).max_viz_height(48)
    return panel if top is None else panel.max(top)


def timeline(
    title: str,
    about: str,
    *targets: Query,
    texts: Texts | None = None,
    unit: str = "short",
    link: tuple[str, str] | None = None,
) -> statetimeline.Panel:
    """States over time, a row a series; without texts a number stands for itself."""
    panel = _framed(statetimeline.Panel(), title, about, targets, link).unit(unit)
    panel = panel.merge_values(True).show_value(VisibilityMode.AUTO).row_height(0.8)
    panel = panel.fill_opacity(70).line_width(0).legend(_legend(shown=texts is not None))
    if texts is None:
        return panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    return _stepped(panel.mappings(_words(texts)), ())


def shades(
    title: str,
    about: str,
    target: Query,
    *,
    top: float,
    unit: str,
    link: tuple[str, str] | None = None,
) -> heatmap.Panel:
    """A row a series, over time; green is 0, yellow half of `top`, red `top` and more."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("RdYlGn")
    colour = colour.steps(64).min(0).max(top)  # Grafana turns this scheme round: red is high
    panel = _framed(heatmap.Panel(), title, about, [target], link).color(colour)
    panel = panel.cell_values(heatmap.CellValues().unit(unit)).cell_gap(1).show_legend()
    return panel.filter_values(heatmap.FilterValueRange().le(-1.0))


def histogram(title: str, about: str, target: Query, *, unit: str = "short") -> heatmap.Panel:
    """A histogram over time: the darker, the more fell into that bucket."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64)
    panel = _framed(heatmap.Panel(), title, about, [target], None).color(colour.exponent(0.5))
    panel = panel.y_axis(heatmap.YAxisConfig().unit(unit)).cell_gap(1).hide_legend()
    return panel.cell_values(heatmap.CellValues().unit("short").decimals(2))


def listing(
    title: str,
    about: str,
    *targets: Query,
    columns: Mapping[str, str],
    units: Mapping[str, str] | None = None,
    leads: Mapping[str, str] | None = None,
    sort: str | None = None,
    link: tuple[str, str] | None = None,
) -> table.Panel:
    """A table of the columns that are named, in their order: label, or `Value #A`, to heading.

    `leads` has the address that a heading's values lead to; `sort` is the heading to sort by.
    """
    panel = _framed(table.Panel(), title, about, targets, link).min_width(70)
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    order = {name: place for place, name in enumerate(columns)}
    shown = {
        "indexByName": order,
        "renameByName": dict(columns),
        "includeByName": dict.fromkeys(columns, True),
    }
    panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=shown))
    for heading, unit in (units or {}).items():
        panel = panel.override_by_name(heading, [DynamicConfigValue("unit", unit)])
    for heading, url in (leads or {}).items():
        leading = [{"title": heading, "url": url}]
        panel = panel.override_by_name(heading, [DynamicConfigValue("links", leading)])
    if sort:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(False)])
    return panel


def _framed(
    panel: Queried,
    title: str,
    about: str,
    targets: Sequence[Query],
    link: tuple[str, str] | None,
) -> Queried:
    panel = panel.title(title).description(about).datasource(PROMETHEUS)
    for letter, target in zip(ascii_uppercase, targets, strict=False):
        panel = panel.with_target(target.ref_id(letter).datasource(PROMETHEUS))
    return panel.links([outward(*link)]) if link else panel


def outward(title: str, url: str) -> dashboard.DashboardLink:
    """A link to an address, which may name variables."""
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url)


def _stepped(panel: Coloured, steps: Steps) -> Coloured:
    base = [Threshold(value=None, color="green" if steps else "text")]
    made = base + [Threshold(value=value, color=colour) for value, colour in steps]
    levels = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)
    colour = dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS)
    return panel.thresholds(levels).color_scheme(colour)


def _words(texts: Texts) -> list[ValueMapping]:
    options = {
        str(value): ValueMappingResult(text=word, color=colour, index=place)
        for place, (value, (word, colour)) in enumerate(texts.items())
    }
    return [ValueMap(options=options)]


def _legend(shown: bool = True) -> common.VizLegendOptions:
    legend = common.VizLegendOptions().placement(LegendPlacement.BOTTOM).show_legend(shown)
    return legend.display_mode(LegendDisplayMode.LIST)


def _marked(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw limits dashed and red, and an interval as a pale band."""
    hidden = {"legend": True, "tooltip": False, "viz": False}
    unnamed = DynamicConfigValue("custom.hideFrom", hidden)
    pale = [_fixed("text"), DynamicConfigValue("custom.lineWidth", 0), unnamed]
    dashed = {"fill": "dash", "dash": [8, 6]}
    band = [
        DynamicConfigValue("custom.fillBelowTo", "low"),
        DynamicConfigValue("custom.fillOpacity", 15),
    ]
    limit = [_fixed("red"), DynamicConfigValue("custom.lineStyle", dashed)]
    thin = DynamicConfigValue("custom.lineWidth", 1)
    panel = panel.override_by_name("limit", [*limit, thin])
    return panel.override_by_name("low", pale).override_by_name("high", [*pale, *band])


def _fixed(colour: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})
