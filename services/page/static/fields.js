// Grafana's field options in (defaults and overrides), what holds for one field out.
import { color, paletteColor, scaleColor } from './colors.js';
import { format } from './units.js';

// Every field gets `config` and `display` (its name for people).
export function configure(frames, panel, variables) {
  let series = 0;
  for (const frame of frames) {
    for (const field of frame.fields) {
      field.config = merged(field, frame, panel);
      field.display = displayName(field, frame, variables);
      field.config = merged(field, frame, panel); // overrides by name go by the displayed name
      field.display = displayName(field, frame, variables);
      if (field.type === 'number') field.index = series++;
    }
  }
  return frames;
}

function merged(field, frame, panel) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const config = structuredClone({ custom: {}, ...defaults });
  for (const { matcher, properties } of overrides) {
    if (!fits(matcher, field, frame)) continue;
    for (const { id, value } of properties) put(config, id, value);
  }
  return config;
}

function put(config, id, value) {
  const path = id.split('.');
  const last = path.pop();
  let at = config;
  for (const part of path) at = at[part] ??= {};
  at[last] = value;
}

function fits({ id, options }, field, frame) {
  const names = [field.display, field.seriesName, field.name];
  switch (id) {
    case 'byName':
      return names.includes(options);
    case 'byNames':
      return (options.names ?? []).some((name) => names.includes(name));
    case 'byRegexp':
      return names.some((name) => name !== undefined && asRegex(options).test(name));
    case 'byType':
      return field.type === options;
    case 'byFrameRefID':
      return frame.refId === options;
    default:
      return false;
  }
}

export function asRegex(text) {
  const [, body, flags = ''] = /^\/(.*)\/(\w*)$/s.exec(text) ?? [null, text];
  return new RegExp(body, flags.replace('g', ''));
}

function displayName(field, frame, variables) {
  const given = field.config.displayName;
  if (!given) return field.seriesName ?? field.name;
  const filled = given
    .replace(/\$\{__field\.labels\.([^}]+)\}/g, (_, label) => field.labels?.[label] ?? '')
    .replace(/\$\{__(?:series|frame|field)\.name\}/g, field.seriesName ?? frame.name ?? field.name);
  return variables.replace(filled);
}

// { text, color (may be undefined), mapped } of one value
export function shown(value, field) {
  const { mappings = [], unit, decimals, noValue } = field.config;
  const hit = mappings.map((mapping) => mappedBy(mapping, value)).find(Boolean);
  const text =
    hit?.text ?? (value === null || value === undefined ? (noValue ?? '–') : format(value, unit, decimals));
  return { text, color: hit?.color ?? colorOf(value, field), mapped: Boolean(hit) };
}

function mappedBy({ type, options }, value) {
  if (type === 'value') return options[String(value)] ?? null;
  if (type === 'range') {
    const { from, to, result } = options;
    return typeof value === 'number' && value >= (from ?? -Infinity) && value <= (to ?? Infinity)
      ? result
      : null;
  }
  if (type === 'regex') return asRegex(options.pattern).test(String(value)) ? options.result : null;
  const empty = value === null || value === undefined;
  const special = {
    null: empty,
    nan: Number.isNaN(value),
    'null+nan': empty || Number.isNaN(value),
    true: value === true,
    false: value === false,
    empty: value === '',
  };
  return special[options.match] ? options.result : null;
}

// The colour's name (for `color` or `inkColor`) that the field's options give a value.
export function colorOf(value, field) {
  const mode = field.config.color?.mode ?? 'thresholds';
  if (mode === 'fixed') return field.config.color.fixedColor;
  if (mode.startsWith('continuous-')) return scaleColor(mode.slice(11), share(value, field));
  if (mode === 'thresholds' || typeof value !== 'number') return thresholdOf(value, field)?.color;
  return paletteColor(field.index ?? 0);
}

// The colour of a line: one for all its values.
export function lineColor(field) {
  const { mode = 'palette-classic', fixedColor } = field.config.color ?? {};
  if (mode === 'fixed' || mode === 'shades') return color(fixedColor);
  if (mode === 'thresholds') return color(thresholdOf(lastOf(field.values), field)?.color);
  return paletteColor(field.index ?? 0);
}

export function thresholdSteps(field) {
  const { mode, steps = [] } = field.config.thresholds ?? {};
  return steps.map(({ value, color: name }, i) => {
    const at = i === 0 || value === null || value === undefined ? -Infinity : value;
    return {
      value: mode === 'percentage' && Number.isFinite(at) ? fromShare(at / 100, field) : at,
      color: name,
    };
  });
}

function thresholdOf(value, field) {
  const steps = thresholdSteps(field);
  return typeof value === 'number' ? steps.findLast((step) => value >= step.value) : steps[0];
}

export function bounds(field) {
  const finite = field.values.filter((value) => typeof value === 'number' && Number.isFinite(value));
  const min = field.config.min ?? Math.min(0, ...finite);
  const max = field.config.max ?? Math.max(...finite, min);
  return { min, max: max > min ? max : min + 1 };
}

const fromShare = (part, field) => bounds(field).min + part * (bounds(field).max - bounds(field).min);
const share = (value, field) => (value - bounds(field).min) / (bounds(field).max - bounds(field).min);

export const lastOf = (values) => values.findLast((value) => value !== null && !Number.isNaN(value)) ?? null;

// Grafana's names of calculations over a field's values.
export function reduce(values, calc) {
  const numbers = values.filter((value) => typeof value === 'number' && !Number.isNaN(value));
  const sum = () => numbers.reduce((total, value) => total + value, 0);
  const known = {
    lastNotNull: () => lastOf(values),
    last: () => values.at(-1) ?? null,
    firstNotNull: () => values.find((value) => value !== null),
    first: () => values[0] ?? null,
    min: () => Math.min(...numbers),
    max: () => Math.max(...numbers),
    mean: () => sum() / numbers.length,
    sum,
    count: () => values.length,
    range: () => Math.max(...numbers) - Math.min(...numbers),
    delta: () => numbers.at(-1) - numbers[0],
    diff: () => numbers.at(-1) - numbers[0],
  };
  if (!(calc in known)) throw new Error(`the calculation "${calc}" is not known here`);
  return numbers.length || !['min', 'max', 'mean', 'range', 'delta', 'diff'].includes(calc)
    ? known[calc]()
    : null;
}
