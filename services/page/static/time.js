// Time ranges and steps: what the picker says in, seconds out, by Grafana's rules for $__interval.
const SECONDS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, M: 2592000, y: 31536000 };
const NICE_STEPS = [
  1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800,
];
const MAX_POINTS = 11000; // Prometheus refuses more a series

export function duration(text, otherwise = 0) {
  const found = /^>?(\d+(?:\.\d+)?)(ms|[smhdwMy])$/.exec(String(text ?? '').trim());
  if (!found) return otherwise;
  return Number(found[1]) * (found[2] === 'ms' ? 0.001 : SECONDS[found[2]]);
}

// "now", "now-6h", or milliseconds since 1970, in; seconds since 1970 out
export function moment(text, now = Date.now() / 1000) {
  const relative = /^now(?:([+-])(\d+[smhdwMy]))?(?:\/\w)?$/.exec(String(text));
  if (relative) return now + (relative[1] === '+' ? 1 : -1) * duration(relative[2]);
  const milliseconds = Number(text);
  return Number.isFinite(milliseconds) ? milliseconds / 1000 : Date.parse(text) / 1000;
}

// The step of a query, and the values of the variables that Grafana itself sets.
export function stepOf(range, points, minimum, scrape) {
  const span = range.end - range.start;
  const wanted = Math.max(span / Math.max(points, 1), minimum || scrape, span / MAX_POINTS);
  const nice = NICE_STEPS.find((step) => step >= wanted * 0.999) ?? Math.ceil(wanted / 86400) * 86400;
  return Math.max(nice, 1);
}

export function builtins(range, step, scrape) {
  const span = Math.max(1, Math.round(range.end - range.start));
  const rate = Math.max(step + scrape, 4 * scrape);
  return {
    __interval: `${step}s`,
    __interval_ms: String(step * 1000),
    __rate_interval: `${rate}s`,
    __rate_interval_ms: String(rate * 1000),
    __range: `${span}s`,
    __range_s: String(span),
    __range_ms: String(span * 1000),
    __from: String(Math.round(range.start * 1000)),
    __to: String(Math.round(range.end * 1000)),
  };
}

// Nice moments for an axis: at most `count`, on whole local minutes, hours or days, none cut off at the end.
export function ticks(range, count) {
  const step = NICE_STEPS.find((nice) => nice >= (range.end - range.start) / Math.max(count, 1)) ?? 604800;
  const offset = new Date(range.start * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((range.start - offset) / step) * step + offset;
  const found = [];
  const last = range.end - (range.end - range.start) * 0.03;
  for (let at = first; at <= last; at += step) found.push({ at, text: tickText(at, step) });
  return found;
}

function tickText(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step >= 86400) return date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
  const parts = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  if (step < 60) parts.second = '2-digit';
  return date.toLocaleTimeString(undefined, parts);
}

export function clock(seconds) {
  const parts = {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  };
  return new Date(seconds * 1000).toLocaleString('sv-SE', parts);
}
