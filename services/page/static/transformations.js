// Grafana's transformations that our dashboards use: frames in, frames out.
import { asRegex, reduce } from './fields.js';

const TRANSFORMATIONS = {
  merge: (frames) => merge(frames),
  organize: (frames, options) => frames.map((frame) => organize(frame, options)),
  labelsToFields: (frames, options) => labelsToFields(frames, options),
  joinByField: (frames, options) => joinByField(frames, options),
  seriesToColumns: (frames, options) => joinByField(frames, options),
  sortBy: (frames, options) => frames.map((frame) => sortBy(frame, options)),
  filterFieldsByName: (frames, options) => frames.map((frame) => filterFields(frame, options)),
  renameByRegex: (frames, options) => frames.map((frame) => renameByRegex(frame, options)),
  reduce: (frames, options) => reduceFrames(frames, options),
  limit: (frames, { limitField = 10 }) =>
    frames.map((frame) => take(frame, order(frame).slice(0, limitField))),
};

export function transform(frames, transformations = []) {
  return transformations
    .filter((step) => !step.disabled)
    .reduce((given, { id, options }) => {
      if (!(id in TRANSFORMATIONS)) throw new Error(`the transformation "${id}" is not known here`);
      return TRANSFORMATIONS[id](given, options ?? {});
    }, frames);
}

const nameOf = (field) => field.config?.displayName ?? field.seriesName ?? field.name;
const order = (frame) => [...(frame.fields[0]?.values ?? []).keys()];
const take = (frame, rows) => ({
  ...frame,
  fields: frame.fields.map((field) => ({ ...field, values: rows.map((row) => field.values[row]) })),
});

// One table: rows whose shared columns are equal become one row.
function merge(frames) {
  const tables = frames.filter((frame) => frame.fields.length);
  if (tables.length < 2) return tables;
  const names = [...new Set(tables.flatMap((frame) => frame.fields.map((field) => field.name)))];
  const shared = names.filter((name) =>
    tables.every((frame) => frame.fields.some((field) => field.name === name)),
  );
  const rows = new Map();
  for (const frame of tables) {
    for (const row of order(frame)) {
      const cells = Object.fromEntries(frame.fields.map((field) => [field.name, field.values[row]]));
      const key = JSON.stringify(shared.map((name) => cells[name]));
      rows.set(key, { ...rows.get(key), ...cells });
    }
  }
  const fields = names.map((name) => {
    const like = tables.flatMap((frame) => frame.fields).find((field) => field.name === name);
    return { ...like, values: [...rows.values()].map((cells) => cells[name] ?? null) };
  });
  return [{ refId: tables[0].refId, name: tables[0].name, fields }];
}

function organize(frame, { excludeByName = {}, includeByName = {}, indexByName = {}, renameByName = {} }) {
  const wanted = Object.values(includeByName).some(Boolean);
  const kept = frame.fields.filter(
    (field) => !excludeByName[nameOf(field)] && (!wanted || includeByName[nameOf(field)]),
  );
  const place = (field) => indexByName[nameOf(field)] ?? kept.length + 1000;
  const placed = [...kept].sort((a, b) => place(a) - place(b));
  return { ...frame, fields: placed.map((field) => renamed(field, renameByName[nameOf(field)])) };
}

const renamed = (field, name) => (name ? { ...field, name, seriesName: undefined } : field);

// A series' labels become columns; with `valueLabel` that label's values name the value columns.
function labelsToFields(frames, { mode, keepLabels, valueLabel }) {
  if (mode === 'rows') throw new Error('labels to fields as rows is not known here');
  return frames.map((frame) => {
    const rows = order(frame);
    const labels = frame.fields.find((field) => field.labels)?.labels ?? {};
    const kept = Object.entries(labels).filter(
      ([name]) => name !== valueLabel && name !== '__name__' && (!keepLabels || keepLabels.includes(name)),
    );
    const columns = kept.map(([name, value]) => ({
      name,
      type: 'string',
      labels: {},
      values: rows.map(() => value),
    }));
    const [time, ...others] = frame.fields;
    const values = others.map((field) => ({
      ...field,
      name: labels[valueLabel] ?? field.name,
      seriesName: undefined,
      labels: {},
    }));
    return { ...frame, fields: [time, ...columns, ...values] };
  });
}

function joinByField(frames, { byField, mode = 'outer' }) {
  if (frames.length < 2) return frames;
  const key = byField ?? frames[0].fields.find((field) => field.type === 'time')?.name;
  const keyed = frames
    .map((frame) => ({ frame, on: frame.fields.find((field) => field.name === key) }))
    .filter(({ on }) => on);
  const all = [...new Set(keyed.flatMap(({ on }) => on.values))];
  const keys =
    mode === 'inner' ? all.filter((value) => keyed.every(({ on }) => on.values.includes(value))) : all;
  if (keyed[0].on.type !== 'string') keys.sort((a, b) => a - b);
  const columns = keyed.flatMap(({ frame, on }) => {
    const row = new Map(on.values.map((value, i) => [value, i]));
    return frame.fields
      .filter((field) => field !== on)
      .map((field) => ({ ...field, values: keys.map((value) => field.values[row.get(value)] ?? null) }));
  });
  return [
    { refId: frames[0].refId, name: frames[0].name, fields: [{ ...keyed[0].on, values: keys }, ...columns] },
  ];
}

export function sortBy(frame, { sort = [] }) {
  const by = sort[0] && frame.fields.find((field) => nameOf(field) === sort[0].field);
  if (!by) return frame;
  const rows = order(frame).sort((a, b) => compare(by.values[a], by.values[b]));
  return take(frame, sort[0].desc ? rows.reverse() : rows);
}

export function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined || Number.isNaN(a)) return -1;
  if (b === null || b === undefined || Number.isNaN(b)) return 1;
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });
}

function filterFields(frame, { include, exclude }) {
  const hit = (rule, field) =>
    (rule.names ?? []).includes(nameOf(field)) || (rule.pattern && asRegex(rule.pattern).test(nameOf(field)));
  return {
    ...frame,
    fields: frame.fields.filter(
      (field) => (!include || hit(include, field)) && (!exclude || !hit(exclude, field)),
    ),
  };
}

function renameByRegex(frame, { regex, renamePattern }) {
  const pattern = asRegex(regex);
  return {
    ...frame,
    fields: frame.fields.map((field) =>
      field.type === 'time' ? field : renamed(field, nameOf(field).replace(pattern, renamePattern)),
    ),
  };
}

const CALC_NAMES = {
  lastNotNull: 'Last *',
  last: 'Last',
  mean: 'Mean',
  max: 'Max',
  min: 'Min',
  sum: 'Total',
  count: 'Count',
  firstNotNull: 'First *',
};

// A row a series: its name, its labels if asked for, and what was calculated.
function reduceFrames(frames, { reducers = ['lastNotNull'], labelsToFields: withLabels }) {
  const series = frames.flatMap((frame) => frame.fields.filter((field) => field.type === 'number'));
  const labels = withLabels ? [...new Set(series.flatMap((field) => Object.keys(field.labels ?? {})))] : [];
  const column = (name, type, values) => ({ name, type, labels: {}, values });
  return [
    {
      refId: frames[0]?.refId,
      fields: [
        column('Field', 'string', series.map(nameOf)),
        ...labels.map((label) =>
          column(
            label,
            'string',
            series.map((field) => field.labels?.[label] ?? ''),
          ),
        ),
        ...reducers.map((calc) =>
          column(
            CALC_NAMES[calc] ?? calc,
            'number',
            series.map((field) => reduce(field.values, calc)),
          ),
        ),
      ],
    },
  ];
}
