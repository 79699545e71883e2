// What stat and bar gauge show: one value a field, or one a row. -> [{ field, value, name }]
import { asRegex, reduce } from '../fields.js';

export function reducedValues(panel, frames) {
  const {
    calcs = ['lastNotNull'],
    values = false,
    limit = 100,
    fields: wanted = '',
  } = panel.options?.reduceOptions ?? {};
  return frames.flatMap((frame) => {
    const fields = frame.fields.filter((field) => isWanted(field, wanted));
    if (values)
      return fields.flatMap((field) =>
        field.values
          .slice(0, limit)
          .map((value, row) => ({ field, value, name: rowName(frame, field, row) })),
      );
    return fields.map((field) => ({
      field,
      value: reduce(field.values, calcs[0] ?? 'lastNotNull'),
      name: field.display,
    }));
  });
}

function isWanted(field, wanted) {
  if (!wanted) return field.type === 'number';
  return wanted === '/.*/' ? field.type !== 'time' : asRegex(wanted).test(field.display);
}

function rowName(frame, field, row) {
  const words = frame.fields.filter((other) => other.type === 'string').map((other) => other.values[row]);
  return words.join(' ') || field.display;
}
