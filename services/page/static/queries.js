// A panel's targets in, frames out: { refId, name, fields: [{ name, type, labels, values }] }.
// A series is a frame of two fields, time (seconds) and value; a table has a field a column.
import { askInstant, askRange } from './prometheus.js';
import { builtins, duration, stepOf } from './time.js';

export async function runTargets(panel, context, points) {
  const targets = (panel.targets ?? []).filter((target) => !target.hide && target.expr);
  const answers = await Promise.all(
    targets.map((target) => runTarget(target, panel, context, points, targets.length)),
  );
  return answers.flat();
}

async function runTarget(target, panel, context, points, count) {
  const { range, scrape, variables, own = {} } = context;
  const least = duration(target.interval || panel.interval, 0);
  const step = stepOf(range, panel.maxDataPoints || points, least, scrape);
  const query = variables.replace(target.expr, { ...builtins(range, step, scrape), ...own }, 'query');
  const frames = [];
  if (target.range !== false && !(target.instant && target.range === undefined)) {
    const start = Math.floor(range.start / step) * step;
    const end = Math.floor(range.end / step) * step;
    const series = await askRange(query, start, end, step);
    frames.push(...asFrames(series, target, { start, end, step }, context, count));
  }
  if (target.instant) {
    frames.push(...asFrames(await askInstant(query, range.end), target, null, context, count));
  }
  return frames;
}

function asFrames(series, target, grid, context, count) {
  if (target.format === 'table') return series.length ? [asTable(series, target, count)] : [];
  return series.map((one) => {
    const { times, values } = grid ? onGrid(one.values, grid) : split(one.values);
    const name = seriesName(one.metric, target, series, context);
    const value = { name: 'Value', type: 'number', labels: one.metric, values, seriesName: name };
    return {
      refId: target.refId,
      name,
      step: grid?.step,
      fields: [{ name: 'Time', type: 'time', values: times }, value],
    };
  });
}

const number = (text) => ({ '+Inf': Infinity, '-Inf': -Infinity })[text] ?? Number(text);
const split = (values) => ({
  times: values.map(([time]) => time),
  values: values.map(([, text]) => number(text)),
});

// Where Prometheus had nothing there is null, so that a gap is seen as a gap.
function onGrid(points, { start, end, step }) {
  const count = Math.round((end - start) / step) + 1;
  const values = new Array(count).fill(null);
  for (const [time, text] of points) {
    const at = Math.round((time - start) / step);
    if (at >= 0 && at < count) values[at] = Number.isNaN(Number(number(text))) ? null : number(text);
  }
  return { times: values.map((_, i) => start + i * step), values };
}

function asTable(series, target, count) {
  const names = [...new Set(series.flatMap((one) => Object.keys(one.metric)))]
    .filter((name) => name !== '__name__')
    .sort();
  const rows = series.flatMap((one) =>
    one.values.map(([time, text]) => ({ metric: one.metric, time, value: number(text) })),
  );
  const column = (name, type, pick) => ({ name, type, labels: {}, values: rows.map(pick) });
  const value = count > 1 ? `Value #${target.refId}` : 'Value';
  return {
    refId: target.refId,
    name: target.refId,
    fields: [
      column('Time', 'time', (row) => row.time),
      ...names.map((name) => column(name, 'string', (row) => row.metric[name] ?? '')),
      column(value, 'number', (row) => row.value),
    ],
  };
}

function seriesName(metric, target, series, context) {
  const format = target.legendFormat;
  if (format && format !== '__auto') {
    const filled = format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
    return context.variables.replace(filled, context.own);
  }
  const { __name__: name = '', ...labels } = metric;
  const telling = Object.entries(labels).filter(([key, value]) =>
    series.some((other) => other.metric[key] !== value),
  );
  if (telling.length) return telling.map(([, value]) => value).join(' ');
  return name || target.refId || 'Value';
}
