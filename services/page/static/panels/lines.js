// Fields in, uPlot's series, bands and stacked values out.
import uPlot from '../vendor/uPlot.esm.js';
import { lineColor } from '../fields.js';
import { withAlpha } from '../colors.js';
import { scaleOf } from './axes.js';

export function seriesOf(field) {
  const {
    drawStyle = 'line',
    lineWidth = 1,
    fillOpacity = 0,
    lineInterpolation = 'linear',
    lineStyle,
    spanNulls = false,
    showPoints = 'auto',
    pointSize = 5,
    hideFrom,
  } = field.config.custom;
  const stroke = lineColor(field);
  return {
    label: field.display,
    scale: scaleOf(field),
    show: !hideFrom?.viz,
    stroke,
    width:
      drawStyle === 'points' ? 0 : Math.max(lineWidth, drawStyle === 'line' && lineWidth ? 1.25 : lineWidth),
    fill: fillOpacity ? withAlpha(stroke, fillOpacity / 100) : undefined,
    dash:
      lineStyle?.fill === 'dash'
        ? (lineStyle.dash ?? [8, 6])
        : lineStyle?.fill === 'dot'
          ? [1, 5]
          : undefined,
    paths: pathsOf(drawStyle, lineInterpolation),
    spanGaps: Boolean(spanNulls),
    points: {
      show:
        drawStyle === 'points' || showPoints === 'always' ? true : showPoints === 'never' ? false : undefined,
      size: pointSize,
    },
  };
}

function pathsOf(drawStyle, interpolation) {
  if (drawStyle === 'bars') return uPlot.paths.bars({ size: [0.7, 40] });
  if (interpolation === 'stepAfter') return uPlot.paths.stepped({ align: 1 });
  if (interpolation === 'stepBefore') return uPlot.paths.stepped({ align: -1 });
  if (interpolation === 'smooth') return uPlot.paths.spline();
  return uPlot.paths.linear();
}

// Each group's values on top of one another, the first at the bottom.
export function stacked(fields, values) {
  const tops = new Map();
  return values.map((own, i) => {
    const group = stackOf(fields[i]);
    if (!group) return own;
    const below = tops.get(group);
    const sum = own.map((value, at) => (value === null ? (below?.[at] ?? null) : value + (below?.[at] ?? 0)));
    tops.set(group, sum);
    return sum;
  });
}

function stackOf(field) {
  const { mode = 'none', group = 'A' } = field.config.custom.stacking ?? {};
  return mode === 'none' ? null : group;
}

// Between a stacked line and the one below it, and between a field and its `fillBelowTo`.
export function bandsOf(fields) {
  const bands = [];
  const last = new Map();
  fields.forEach((field, i) => {
    const group = stackOf(field);
    if (group && last.has(group)) bands.push({ series: [i + 1, last.get(group) + 1] });
    if (group) last.set(group, i);
    const other = fields.findIndex((one) => one.display === field.config.custom.fillBelowTo);
    if (other >= 0)
      bands.push({
        series: [i + 1, other + 1],
        fill: withAlpha(lineColor(field), (field.config.custom.fillOpacity || 12) / 100),
      });
  });
  return bands;
}
