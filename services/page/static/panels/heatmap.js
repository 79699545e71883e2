// A row a series, a cell a step: how much, by colour. Rows keep their order; time runs to the right.
import { scaleColor, withAlpha } from '../colors.js';
import { element } from '../dom.js';
import { format } from '../units.js';
import { clock } from '../time.js';
import { timeGrid } from './timegrid.js';

export function drawHeatmap(panel, frames, context) {
  const rows = frames.map((frame) => ({ times: frame.fields[0].values, field: frame.fields.find((field) => field.type === 'number'), step: frame.step }));
  const cells = rows.flatMap(({ field }) => field.values).filter(Number.isFinite);
  if (!cells.length) return null;
  const { color: scheme = {}, cellValues = {}, yAxis = {} } = panel.options ?? {};
  const scale = { ...scheme, low: scheme.min ?? Math.min(...cells), high: scheme.max ?? Math.max(...cells), unit: cellValues.unit ?? rows[0].field.config.unit, decimals: cellValues.decimals };
  const ordered = yAxis.reverse ? rows : [...rows].reverse(); // Grafana's first row is the lowest
  const drawn = ordered.map((row) => ({ name: row.field.display, track: track(row, scale, context.range) }));
  return [timeGrid(drawn, context.range, context.width), legend(scale)];
}

function track({ times, field, step }, scale, range) {
  const canvas = element('canvas', { class: 'cells', width: Math.max(times.length, 1), height: 1, role: 'img', 'aria-label': `${field.display}: newest ${format(field.values.findLast(Number.isFinite), scale.unit, scale.decimals)}` });
  const pen = canvas.getContext('2d');
  field.values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    pen.fillStyle = toneOf(value, scale);
    pen.fillRect(i, 0, 1, 1);
  });
  const [left, right] = [times[0], times.at(-1) + step].map((at) => ((at - range.start) / (range.end - range.start)) * 100);
  Object.assign(canvas.style, { left: `${left}%`, width: `${right - left}%` });
  canvas.addEventListener('mousemove', (event) => {
    const at = Math.min(times.length - 1, Math.floor((event.offsetX / canvas.clientWidth) * times.length));
    canvas.title = `${field.display}: ${format(field.values[at], scale.unit, scale.decimals)}\n${clock(times[at])}`;
  });
  return element('span', { class: 'track' }, canvas);
}

function toneOf(value, { low, high, scheme, mode, fill, reverse, exponent = 0.5 }) {
  const share = high > low ? (value - low) / (high - low) : 0;
  if (mode === 'opacity') return withAlpha(scaleColor('blues', 1), Math.max(0.05, share ** exponent));
  return scaleColor(scheme ?? fill, share, reverse);
}

function legend(scale) {
  const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => toneOf(scale.low + share * (scale.high - scale.low), scale));
  const say = (value) => format(value, scale.unit, scale.decimals);
  return element('p', { class: 'scale' }, say(scale.low), element('i', { style: { background: `linear-gradient(to right, ${stops.join(', ')})` } }), say(scale.high));
}
