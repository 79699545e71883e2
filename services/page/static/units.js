// A number and the name of one of Grafana's units in; a text that people read out.
const scaled = (steps) => (value, decimals) => {
  const size = Math.abs(value);
  const plain = steps.find(([least]) => least === 1); // nothing is 0 s, not 0 ns
  const [divisor, suffix] = size === 0 ? plain : (steps.findLast(([least]) => size >= least) ?? steps[0]);
  return fixed(value / divisor, decimals) + (suffix && ` ${suffix}`);
};
const powers = (base, names) => scaled(names.map((name, power) => [power ? base ** power : 1, name]));
const times = (factor) => (value, decimals) => SPAN(value * factor, decimals);

const SPAN = scaled([
  [1e-9, 'ns'],
  [1e-6, 'µs'],
  [1e-3, 'ms'],
  [1, 's'],
  [60, 'min'],
  [3600, 'h'],
  [86400, 'd'],
  [604800, 'wk'],
  [31536000, 'y'],
]);
const SI = powers(1000, ['', 'K', 'M', 'B', 'T']);
const IEC = powers(1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
const BYTES = powers(1000, ['B', 'kB', 'MB', 'GB', 'TB']);
const per =
  (what, form = SI) =>
  (value, decimals) =>
    form(value, decimals) + what;
const date = (options) => (value) => new Date(value).toLocaleString('sv-SE', options);

const FORMS = {
  none: (value, decimals) => fixed(value, decimals),
  short: SI,
  sishort: powers(1000, ['', 'k', 'M', 'G', 'T']),
  locale: (value, decimals) => value.toLocaleString('en', { maximumFractionDigits: decimals ?? 3 }),
  percent: (value, decimals) => `${fixed(value, decimals)}%`,
  percentunit: (value, decimals) => `${fixed(value * 100, decimals)}%`,
  s: SPAN,
  ms: times(1e-3),
  µs: times(1e-6),
  ns: times(1e-9),
  m: times(60),
  h: times(3600),
  d: times(86400),
  dtdurations: (value) => longSpan(value),
  dtdurationms: (value) => longSpan(value / 1000),
  bytes: IEC,
  decbytes: BYTES,
  bits: powers(1024, ['b', 'Kib', 'Mib', 'Gib']),
  Bps: per('/s', BYTES),
  binBps: per('/s', IEC),
  reqps: per(' req/s'),
  rps: per(' reads/s'),
  wps: per(' writes/s'),
  ops: per(' ops/s'),
  cps: per(' c/s'),
  eps: per(' events/s'),
  mps: per(' msg/s'),
  recps: per(' rec/s'),
  rowsps: per(' rows/s'),
  reqpm: per(' req/min'),
  opm: per(' ops/min'),
  cpm: per(' c/min'),
  dateTimeFromNow: (value) => fromNow(value / 1000),
  dateTimeAsIso: date({}),
  dateTimeAsLocal: date({}),
  dateTimeAsSystem: date({}),
  dateTimeAsIsoNoDateIfToday: date({}),
  bool: (value) => (value ? 'True' : 'False'),
  bool_yes_no: (value) => (value ? 'Yes' : 'No'),
  bool_on_off: (value) => (value ? 'On' : 'Off'),
  string: (value) => String(value),
};

export function format(value, unit = 'none', decimals = undefined) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (typeof value !== 'number') return String(value);
  if (!Number.isFinite(value)) return value > 0 ? '+∞' : '−∞';
  const form = FORMS[unit || 'none'];
  if (form) return form(value, decimals);
  const [, kind, rest] = /^(prefix|suffix|time|currency):(.*)$/.exec(unit) ?? [];
  if (kind === 'prefix') return rest + SI(value, decimals);
  if (kind === 'time') return date({})(value);
  const number = SI(value, decimals);
  return `${number} ${(kind ? rest : unit).trim()}`;
}

// As many decimals as keep three digits, none for whole numbers (Grafana's rule).
function fixed(value, decimals) {
  return value.toFixed(decimals ?? decimalsFor(value)).replace(/^-(0(\.0+)?)$/, '$1');
}

function decimalsFor(value) {
  const rounded = Number(value.toPrecision(12));
  if (rounded % 1 === 0) return 0;
  return Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded)))));
}

function longSpan(seconds) {
  const said = [];
  let rest = Math.round(Math.abs(seconds));
  for (const [size, name] of [
    [31536000, 'y'],
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]) {
    if (rest >= size) said.push(`${Math.floor(rest / size)} ${name}`);
    rest %= size;
  }
  return said.slice(0, 2).join(' ') || '0 s';
}

function fromNow(seconds) {
  const away = seconds - Date.now() / 1000;
  return away > 0 ? `in ${longSpan(away)}` : `${longSpan(away)} ago`;
}
