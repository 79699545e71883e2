// Fields in, uPlot's scales and axes out: a scale a unit, the first at the left, others at the right.
import uPlot from '../vendor/uPlot.esm.js';
import { themeColor } from '../colors.js';
import { thresholdSteps } from '../fields.js';
import { format } from '../units.js';

const FONT = '12px system-ui, sans-serif';
export const scaleOf = (field) =>
  `y ${field.config.unit ?? ''} ${field.config.custom.axisPlacement === 'right' ? 'right' : ''}`;

function byScale(fields) {
  const groups = new Map();
  for (const field of fields) groups.set(scaleOf(field), [...(groups.get(scaleOf(field)) ?? []), field]);
  return groups;
}

export function scalesOf(fields, values) {
  return Object.fromEntries(
    [...byScale(fields)].map(([name, group]) => {
      const own = values.filter((_, i) => scaleOf(fields[i]) === name);
      const logarithmic = group[0].config.custom.scaleDistribution?.type === 'log';
      if (logarithmic)
        return [name, { distr: 3, log: group[0].config.custom.scaleDistribution.log === 2 ? 2 : 10 }];
      return [name, { range: () => boundsOf(group, own) }];
    }),
  );
}

// Fixed bounds hold; soft ones and lines of limits widen what the values need.
function boundsOf(group, values) {
  const { min, max, custom } = group[0].config;
  let low = custom.axisSoftMin ?? Infinity;
  let high = custom.axisSoftMax ?? -Infinity;
  for (const list of values) {
    for (const value of list) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const limits = group
    .filter((field) => (field.config.custom.thresholdsStyle?.mode ?? 'off') !== 'off')
    .flatMap(thresholdSteps)
    .map((step) => step.value)
    .filter(Number.isFinite);
  if (limits.length && Number.isFinite(high)) high = Math.max(high, ...limits);
  if (group.some((field) => field.config.custom.fillOpacity || field.config.custom.drawStyle === 'bars'))
    low = Math.min(low, Math.max(0, low) === low ? 0 : low);
  if (!Number.isFinite(low)) [low, high] = [0, 1];
  const [from, to] =
    low === high
      ? [Math.min(0, low), high === 0 ? 1 : Math.max(0, high * 1.2)]
      : uPlot.rangeNum(low, high, {
          min: {
            pad: low >= 0 && low < (high - low) * 0.5 ? 0 : 0.05,
            soft: 0,
            mode: low >= 0 && low < (high - low) * 0.5 ? 1 : 3,
          },
          max: { pad: 0.08, soft: 0, mode: 3 },
        });
  return [min ?? from, max ?? to];
}

export function axesOf(fields, width) {
  const colors = {
    stroke: themeColor('quiet'),
    font: FONT,
    labelFont: FONT,
    grid: { stroke: themeColor('line'), width: 1 },
    ticks: { show: false },
  };
  const time = { ...colors, space: 90, size: 30, gap: 7, values: timeTexts };
  const others = [...byScale(fields)].map(([scale, group], i) => {
    const { unit, decimals, custom } = group[0].config;
    return {
      ...colors,
      scale,
      side: i || scale.endsWith('right') ? 1 : 3,
      show: custom.axisPlacement !== 'hidden',
      grid: { ...colors.grid, show: i === 0 },
      label: width > 350 ? custom.axisLabel || undefined : undefined,
      labelSize: 18,
      space: 34,
      incrs: incrementsOf(unit),
      size: (plot, texts) =>
        14 + Math.max(20, ...(texts ?? []).map((text) => String(text ?? '').length * 6.6)),
      values: (plot, splits) => sameDecimals(splits, unit, decimals),
    };
  });
  return [time, ...others];
}

const TIMES = { s: 1, ms: 1000, m: 1 / 60, h: 1 / 3600, d: 1 / 86400 };
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000,
  604800, 1209600, 2592000, 7776000, 31536000,
];

// Spans of time are cut at whole minutes, hours and days, bytes at powers of two; all else as uPlot does.
function incrementsOf(unit) {
  if (unit === 'bytes') return Array.from({ length: 60 }, (_, power) => 2 ** power);
  const factor = TIMES[unit];
  if (!factor) return undefined;
  const small = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1].flatMap((power) => [
    power,
    2 * power,
    2.5 * power,
    5 * power,
  ]);
  return [...small, ...STEPS].map((seconds) => seconds * factor);
}

// The fewest decimals that an axis' numbers can be told with exactly, the same for all of a suffix.
function sameDecimals(splits, unit, decimals) {
  const most = new Map();
  const told = splits.filter((value) => value !== null).map((value) => ({ value, ...fewest(value, unit) }));
  for (const { value, suffix, digits } of told)
    if (value !== 0) most.set(suffix, Math.max(most.get(suffix) ?? 0, digits));
  const text = (value) =>
    format(value, unit, value === 0 ? 0 : (decimals ?? most.get(fewest(value, unit).suffix)));
  return splits.map((value) => (value === null ? null : text(value)));
}

function fewest(value, unit) {
  const exact = format(value, unit, 6);
  const digits =
    [0, 1, 2, 3].find(
      (count) => Math.abs(parseFloat(format(value, unit, count)) - parseFloat(exact)) < 1e-6,
    ) ?? 4;
  return { suffix: exact.replace(/^[-−\d.]+/, ''), digits };
}

function timeTexts(_plot, splits, _axis, _space, step) {
  let lastDay = '';
  return splits.map((seconds) => {
    const date = new Date(seconds * 1000);
    const day = date.toLocaleDateString('sv-SE').slice(5);
    const time = date.toLocaleTimeString('sv-SE').slice(0, step < 60 ? 8 : 5);
    const isNewDay = lastDay !== '' && day !== lastDay;
    lastDay = day;
    if (step >= 86400) return day;
    return isNewDay ? `${day} ${time}` : time;
  });
}
