// A row a series, a cell a step: how much, by colour. Rows keep their order; time runs to the right.
import { scaleColor, withAlpha } from '../colors.js';
import { element } from '../dom.js';
import { format } from '../units.js';
import { clock } from '../time.js';
import { timeGrid } from './timegrid.js';

export function drawHeatmap(panel, frames, context) {
  const {
    color: scheme = {},
    cellValues = {},
    yAxis = {},
    filterValues,
    legend: { show = true } = {},
  } = panel.options ?? {};
  const rows = asBuckets(frames, panel, yAxis) ?? frames.map(rowOf);
  const least = filterValues?.le ?? 1e-9; // Grafana leaves out what is not above it
  for (const row of rows)
    row.values = row.values.map((value) => (value !== null && value > least ? value : null));
  const used = withoutEmptyEnds(rows, panel);
  const cells = used.flatMap(({ values }) => values).filter(Number.isFinite);
  if (!cells.length) return null;
  const unit = cellValues.unit ?? panel.fieldConfig?.defaults?.unit;
  const scale = {
    ...scheme,
    low: scheme.min ?? Math.min(...cells),
    high: scheme.max ?? Math.max(...cells),
    unit,
    decimals: cellValues.decimals,
  };
  const ordered = yAxis.reverse ? used : [...used].reverse(); // Grafana's first row is the lowest
  const drawn = ordered.map((row) => ({ name: row.name, track: track(row, scale, context.range) }));
  return [timeGrid(drawn, context.range, context.width), show ? legend(scale) : null];
}

function rowOf(frame) {
  const field = frame.fields.find((one) => one.type === 'number');
  return { name: field.display, times: frame.fields[0].values, step: frame.step, values: field.values };
}

// Buckets that nothing ever fell into, above and below those that are used.
function withoutEmptyEnds(rows, panel) {
  if (!isHistogram(panel)) return rows;
  const isUsed = ({ values }) => values.some((value) => value !== null);
  return rows.slice(Math.max(0, rows.findIndex(isUsed)), rows.findLastIndex(isUsed) + 1);
}

const isHistogram = (panel) => (panel.targets ?? []).some((target) => target.format === 'heatmap');

// A histogram's series count all up to `le`: each row is what its bucket adds to the one below.
function asBuckets(frames, panel, { unit, decimals }) {
  if (!isHistogram(panel)) return null;
  const edge = (frame) => Number(frame.fields[1].labels.le.replace('+Inf', 'Infinity'));
  const sorted = frames.filter((frame) => frame.fields[1].labels?.le).sort((a, b) => edge(a) - edge(b));
  return sorted.map((frame, i) => {
    const below = sorted[i - 1]?.fields[1].values;
    const values = frame.fields[1].values.map((value, at) =>
      value === null ? null : value - (below?.[at] ?? 0),
    );
    return {
      ...rowOf(frame),
      name: Number.isFinite(edge(frame)) ? `to ${format(edge(frame), unit, decimals)}` : 'more',
      values,
    };
  });
}

function track({ name, times, values, step }, scale, range) {
  const canvas = element('canvas', {
    class: 'cells',
    width: Math.max(times.length, 1),
    height: 1,
    role: 'img',
    'aria-label': `${name}: newest ${format(values.findLast(Number.isFinite) ?? null, scale.unit, scale.decimals)}`,
  });
  const pen = canvas.getContext('2d');
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    pen.fillStyle = toneOf(value, scale);
    pen.fillRect(i, 0, 1, 1);
  });
  const [left, right] = [times[0], times.at(-1) + step].map(
    (at) => ((at - range.start) / (range.end - range.start)) * 100,
  );
  Object.assign(canvas.style, { left: `${left}%`, width: `${right - left}%` });
  canvas.addEventListener('mousemove', (event) => {
    const at = Math.min(times.length - 1, Math.floor((event.offsetX / canvas.clientWidth) * times.length));
    canvas.title = `${name}: ${format(values[at], scale.unit, scale.decimals)}\n${clock(times[at])}`;
  });
  return element('span', { class: 'track' }, canvas);
}

function toneOf(value, { low, high, scheme, mode, fill, reverse, exponent = 0.5 }) {
  const share = high > low ? (value - low) / (high - low) : 0;
  if (mode === 'opacity') return withAlpha(scaleColor('blues', 1), Math.max(0.05, share ** exponent));
  return scaleColor(scheme ?? fill, share, reverse);
}

function legend(scale) {
  const stops = [0, 0.25, 0.5, 0.75, 1].map((share) =>
    toneOf(scale.low + share * (scale.high - scale.low), scale),
  );
  const say = (value) => format(value, scale.unit, scale.decimals);
  return element(
    'p',
    { class: 'scale' },
    say(scale.low),
    element('i', { style: { background: `linear-gradient(to right, ${stops.join(', ')})` } }),
    say(scale.high),
  );
}
