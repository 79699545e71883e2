// Grafana's Prometheus annotations: the dashboard's list in; moments and spans with a title out, drawn over a plot.
import { askRange } from '../prometheus.js';
import { builtins, duration, stepOf } from '../time.js';
import { color, withAlpha } from '../colors.js';
import { clip } from './limits.js';

export async function findAnnotations(dashboard, context) {
  const wanted = (dashboard.annotations?.list ?? []).filter(
    (one) => one.enable !== false && !one.builtIn && annotationQuery(one),
  );
  const found = await Promise.all(wanted.map((one) => findOne(one, context)));
  return found.flat();
}

const annotationQuery = (one) => one.expr ?? one.target?.expr;

async function findOne(one, { range, scrape, variables }) {
  const step = stepOf(range, 300, duration(one.step, 0), scrape);
  const query = variables.replace(annotationQuery(one), builtins(range, step, scrape), 'query');
  const series = await askRange(query, Math.floor(range.start / step) * step, range.end, step);
  return series.flatMap(({ metric, values }) => {
    const said = {
      title: filled(one.titleFormat, metric) || one.name,
      text: filled(one.textFormat, metric),
      color: one.iconColor ?? 'blue',
    };
    const spans = isTime(one) ? momentsOf(values, range) : spansOf(values, step);
    return spans.map((span) => ({ ...said, ...span }));
  });
}

const isTime = (one) => one.useValueForTime === true || one.useValueForTime === 'on';
const filled = (form, metric) =>
  (form ?? '').replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');

// The values are times in milliseconds.
function momentsOf(values, range) {
  const times = [...new Set(values.map(([, text]) => Number(text) / 1000))];
  return times.filter((at) => at >= range.start && at <= range.end).map((at) => ({ from: at, to: at }));
}

// Values in a row that are not zero are one span.
function spansOf(values, step) {
  const spans = [];
  for (const [time, text] of values) {
    if (!Number(text)) continue;
    const last = spans.at(-1);
    if (last && time - last.to <= step * 1.01) last.to = time;
    else spans.push({ from: time, to: time });
  }
  return spans;
}

export function drawAnnotations({ ctx, bbox, valToPos }, annotations = []) {
  ctx.save();
  clip(ctx, bbox);
  for (const { from, to, color: name } of annotations) {
    const [left, right] = [valToPos(from, 'x', true), valToPos(to, 'x', true)];
    ctx.fillStyle = withAlpha(color(name), 0.12);
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.strokeStyle = color(name);
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillStyle = color(name);
    ctx.beginPath();
    ctx.arc(left, bbox.top + bbox.height, 4 * devicePixelRatio, 0, 7);
    ctx.fill();
  }
  ctx.restore();
}

export const annotationsAt = (annotations = [], seconds, slack) =>
  annotations.filter(({ from, to }) => seconds >= from - slack && seconds <= to + slack);
