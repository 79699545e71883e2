// Grafana's names of colours in, colours for the light or dark page out.
const HUES = {
  red: ['#ffa6b0', '#ff7383', '#f2495c', '#e02f44', '#c4162a'],
  orange: ['#ffcb7d', '#ffb357', '#ff9830', '#ff780a', '#e0600a'],
  yellow: ['#fff899', '#ffee52', '#fade2a', '#f2cc0c', '#c29200'],
  green: ['#c8f2c2', '#96d98d', '#73bf69', '#56a64b', '#37872d'],
  blue: ['#c0d8ff', '#8ab8ff', '#5794f2', '#3274d9', '#1f60c4'],
  purple: ['#deb6f2', '#ca95e5', '#b877d9', '#a352cc', '#8f3bb8'],
};
const SHADES = ['super-light', 'light', '', 'semi-dark', 'dark'];
const ORDER = [
  'blue',
  'orange',
  'green',
  'purple',
  'yellow',
  'red',
  'dark-blue',
  'dark-orange',
  'dark-green',
  'dark-purple',
  'light-blue',
  'light-orange',
];
const SCALES = {
  // from, (through,) to, by the last word of "continuous-..." or a heat map's scheme
  GrYlRd: ['green', 'yellow', 'red'],
  RdYlGr: ['red', 'yellow', 'green'],
  BlYlRd: ['blue', 'yellow', 'red'],
  BlPu: ['blue', 'purple'],
  blues: ['ground', 'blue'],
  reds: ['ground', 'red'],
  greens: ['ground', 'green'],
  purples: ['ground', 'purple'],
  oranges: ['ground', 'orange'],
  YlRd: ['yellow', 'red'],
  YlBl: ['yellow', 'blue'],
  ylorrd: ['ground', 'yellow', 'orange', 'red'],
};
// Heat maps' schemes with a good and a bad end: Grafana turns d3's around, so that low is good.
const DIVERGING = {
  RdYlGn: ['green', 'yellow', 'red'],
  RdYlBu: ['blue', 'yellow', 'red'],
  Spectral: ['blue', 'yellow', 'red'],
};

const darkPage = matchMedia('(prefers-color-scheme: dark)');
export const isDark = () => darkPage.matches;
export const onSchemeChange = (then) => darkPage.addEventListener('change', then);

export function themeColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function color(name) {
  if (!name || name === 'text') return themeColor('ink');
  if (name === 'transparent') return 'rgba(0, 0, 0, 0)';
  if (name === 'ground') return themeColor('line');
  const [, shade = '', hue] = /^(?:(super-light|light|semi-dark|dark)-)?(\w+)$/.exec(name) ?? [];
  if (!(hue in HUES)) return name;
  const step = SHADES.indexOf(shade) + (isDark() ? 0 : 1); // the same names are darker on white
  return HUES[hue][Math.min(step, 4)];
}

// For words: dark enough to be read on white.
export function inkColor(name) {
  const hue = /(red|orange|yellow|green|blue|purple)$/.exec(name ?? '')?.[1];
  return hue && !isDark() ? HUES[hue][4] : color(name);
}

export const paletteColor = (index) => color(ORDER[index % ORDER.length]);

export function withAlpha(value, alpha) {
  const hex = /^#(..)(..)(..)$/.exec(value);
  if (!hex) return value;
  return `rgba(${hex
    .slice(1, 4)
    .map((part) => parseInt(part, 16))
    .join(', ')}, ${alpha})`;
}

// share: 0..1 on a named scale
export function scaleColor(scheme, share, reverse = false) {
  if (scheme in DIVERGING) return between(DIVERGING[scheme], share);
  const name =
    Object.keys(SCALES).find((known) => known.toLowerCase() === String(scheme).toLowerCase()) ?? 'oranges';
  return between(SCALES[name], reverse ? 1 - share : share);
}

function between(names, share) {
  const stops = names.map(color);
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  return mix(stops[low], stops[low + 1], at - low);
}

function mix(from, to, share) {
  const parts = (value) => [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
  const [a, b] = [parts(from), parts(to)];
  return `#${a
    .map((part, i) =>
      Math.round(part + (b[i] - part) * share)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}
