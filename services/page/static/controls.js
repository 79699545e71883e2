// The bar above a dashboard: variables, time range, refresh. What is chosen stands in the address.
import { element } from './dom.js';

const RANGES = [
  ['now-5m', 'last 5 minutes'],
  ['now-15m', 'last 15 minutes'],
  ['now-30m', 'last 30 minutes'],
  ['now-1h', 'last hour'],
  ['now-3h', 'last 3 hours'],
  ['now-6h', 'last 6 hours'],
  ['now-12h', 'last 12 hours'],
  ['now-24h', 'last 24 hours'],
  ['now-2d', 'last 2 days'],
  ['now-7d', 'last 7 days'],
];
const REFRESHES = [
  ['', 'off'],
  ['5s', '5 s'],
  ['10s', '10 s'],
  ['30s', '30 s'],
  ['1m', '1 min'],
  ['5m', '5 min'],
  ['15m', '15 min'],
];

const address = () => new URLSearchParams(location.search);

export const asked = (variable) => address().getAll(`var-${variable}`);

export function chosenTime(dashboard) {
  const query = address();
  return {
    from: query.get('from') ?? dashboard.time?.from ?? 'now-1h',
    to: query.get('to') ?? dashboard.time?.to ?? 'now',
    refresh: query.get('refresh') ?? (typeof dashboard.refresh === 'string' ? dashboard.refresh : ''),
  };
}

// Put a choice into the address; null takes it out. `then` draws anew.
export function choose(changes, then) {
  const query = address();
  for (const [name, values] of Object.entries(changes)) {
    query.delete(name);
    for (const value of [values].flat()) if (value !== null) query.append(name, value);
  }
  history.replaceState(null, '', `?${query}`);
  then();
}

export function drawControls(form, variables, time, then) {
  const focused = document.activeElement?.id;
  form.replaceChildren(
    ...variables.shown().map((variable) => variableControl(variable, then)),
    ...timeControls(time, then),
  );
  if (focused) document.getElementById(focused)?.focus();
  form.onsubmit = (event) => event.preventDefault();
}

function labelled(text, control) {
  return element('label', {}, element('span', {}, text), control);
}

// One value or all: several at once come from the address alone.
function variableControl(variable, then) {
  const options = variable.options.map(({ text, value }) => [value, text]);
  if (variable.includeAll) options.unshift(['$__all', 'All']);
  const chosen = variable.value.join(' + ');
  if (variable.value.length > 1) options.unshift([chosen, chosen]);
  if (!options.length) options.push(['', 'none']);
  const change = (value) => choose({ [`var-${variable.name}`]: value === '$__all' ? 'All' : value }, then);
  return labelled(variable.label || variable.name, select(`var-${variable.name}`, options, chosen, change));
}

function timeControls({ from, to, refresh }, then) {
  const known = to === 'now' && RANGES.some(([value]) => value === from);
  const ranges = known
    ? RANGES
    : [[`${from} ${to}`, to === 'now' ? `since ${from}` : 'chosen span'], ...RANGES];
  const range = select('time-range', ranges, known ? from : `${from} ${to}`, (value) => {
    const [start, end = 'now'] = value.split(' ');
    choose({ from: start, to: end }, then);
  });
  const refreshes = REFRESHES.some(([value]) => value === refresh)
    ? REFRESHES
    : [[refresh, refresh], ...REFRESHES];
  return [
    labelled('Time', range),
    labelled(
      'Refresh',
      select('refresh', refreshes, refresh, (value) => choose({ refresh: value }, then)),
    ),
    element('button', { type: 'button', id: 'again', title: 'Draw anew', onclick: then }, 'Now'),
  ];
}

function select(id, options, chosen, change) {
  const made = element(
    'select',
    { id },
    options.map(([value, text]) => element('option', { value, selected: value === chosen }, text)),
  );
  made.addEventListener('change', () => change(made.value));
  return made;
}
