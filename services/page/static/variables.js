// A dashboard's variables and what the address says in; their options, values and texts out.
import { askLabelValues, askInstant } from './prometheus.js';

const ALL = '$__all';
const PATTERN = /\$\{(\w+)(?:\.([^}:]*))?(?::([^}]*))?\}|\[\[(\w+)(?::([^\]]*))?\]\]|\$(\w+)/g;
const inQuotes = (text) => JSON.stringify(String(text)).slice(1, -1); // between a PromQL string's quotes
const forRegex = (text) => String(text).replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
const list = (value) => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]);

export class Variables {
  #known = new Map();

  // Resolve all in order, as later ones may use earlier ones; returns what went wrong, in words.
  async resolve(dashboard, asked, range) {
    const troubles = [];
    for (const variable of dashboard.templating?.list ?? []) {
      try {
        const options = await this.#options(variable, range);
        this.#known.set(variable.name, {
          ...variable,
          options,
          value: chosen(variable, options, asked(variable.name)),
        });
      } catch (error) {
        this.#known.set(variable.name, { ...variable, options: [], value: [] });
        troubles.push(`variable ${variable.name}: ${error.message}`);
      }
    }
    return troubles;
  }

  // Those that a person may choose: hide 2 is hidden, constants have no choice.
  shown() {
    return [...this.#known.values()].filter(
      (variable) => variable.hide !== 2 && ['query', 'custom', 'interval'].includes(variable.type),
    );
  }

  values(name) {
    const variable = this.#known.get(name);
    if (!variable) return [];
    return variable.value.includes(ALL) ? variable.options.map((option) => option.value) : variable.value;
  }

  query() {
    return this.shown().flatMap((variable) =>
      variable.value.map((value) => [`var-${variable.name}`, value === ALL ? 'All' : value]),
    );
  }

  // `own` wins over the dashboard's: { name: text }. mode: "query" (PromQL) | "text" | "address"
  replace(text, own = {}, mode = 'text') {
    return String(text ?? '').replace(
      PATTERN,
      (match, braced, _path, bracedForm, squared, squaredForm, plain) => {
        const name = braced ?? squared ?? plain;
        const form = bracedForm ?? squaredForm ?? mode;
        if (name in own) return mode === 'address' ? encodeURIComponent(own[name]) : String(own[name]);
        if (name === '__all_variables') return new URLSearchParams(this.query()).toString();
        if (name === '__url_time_range')
          return new URLSearchParams(
            [...new URLSearchParams(location.search)].filter(([key]) => key === 'from' || key === 'to'),
          ).toString();
        const variable = this.#known.get(name);
        return variable ? this.#formed(variable, form) : match;
      },
    );
  }

  #formed(variable, form) {
    const all = variable.value.includes(ALL);
    const values = this.values(variable.name);
    if (form === 'text')
      return all
        ? 'All'
        : values
            .map((value) => variable.options.find((option) => option.value === value)?.text ?? value)
            .join(' + ');
    if (form === 'queryparam')
      return variable.value
        .map((value) => `var-${variable.name}=${encodeURIComponent(value === ALL ? 'All' : value)}`)
        .join('&');
    if (all && variable.allValue) return variable.allValue;
    if (form === 'raw' || form === 'csv') return values.join(',');
    if (form === 'pipe') return values.join('|');
    if (form === 'percentencode') return encodeURIComponent(values.join(','));
    if (form === 'address') return asAddress(values.join(','));
    if (!variable.multi && !variable.includeAll)
      return form === 'regex' ? forRegex(values[0] ?? '') : inQuotes(values[0] ?? '');
    const parts = values.map((value) => (form === 'regex' ? forRegex(value) : inQuotes(forRegex(value))));
    return parts.length === 1 ? parts[0] : `(${parts.join('|')})`;
  }

  async #options(variable, range) {
    if (variable.type === 'query') return this.#queried(variable, range);
    if (variable.type === 'constant' || variable.type === 'textbox')
      return [option(String(variable.query ?? variable.current?.value ?? ''))];
    if (variable.type === 'custom' || variable.type === 'interval')
      return customOptions(String(variable.query ?? ''));
    if (variable.type === 'datasource') return [option('prometheus')];
    throw new Error(`its kind "${variable.type}" is not known here`);
  }

  async #queried(variable, range) {
    const text = typeof variable.query === 'object' ? variable.query.query : variable.query;
    const query = this.replace(text ?? variable.definition, {}, 'query').trim();
    const found = /^(label_values|query_result)\((.*)\)$/s.exec(query);
    if (!found) throw new Error(`its query is not known here: ${query}`);
    const texts =
      found[1] === 'label_values' ? await labelValues(found[2], range) : await queryResult(found[2], range);
    return sorted(unique(matching(texts, variable.regex)), variable.sort ?? 0);
  }
}

const option = (text, value = text) => ({ text, value });

// A base address from a variable stays as it is; anything else is a part of one.
const asAddress = (value) => (/^https?:\/\//.test(value) ? value : encodeURIComponent(value));

function chosen(variable, options, asked) {
  const known = (value) =>
    (value === ALL && variable.includeAll) || options.some((one) => one.value === value);
  const wanted = (asked.length ? asked : list(variable.current?.value).map(String)).map((value) =>
    value === 'All' ? ALL : value,
  );
  const possible = wanted.filter((value) => known(value));
  if (possible.length) return variable.multi ? possible : possible.slice(0, 1);
  if (options.length)
    return variable.includeAll && !asked.length && !wanted.length ? [ALL] : [options[0].value];
  return [];
}

function customOptions(query) {
  return query.split(/(?<!\\),/).map((part) => {
    const [text, value = text] = part
      .replaceAll('\\,', ',')
      .split(' : ')
      .map((side) => side.trim());
    return option(text, value);
  });
}

function labelValues(inside, range) {
  const cut = inside.lastIndexOf(',');
  const match = cut < 0 ? '' : inside.slice(0, cut).trim();
  return askLabelValues(inside.slice(cut + 1).trim(), match, range.start, range.end);
}

async function queryResult(inside, range) {
  const found = await askInstant(inside, range.end);
  return found.map(({ metric: { __name__: name = '', ...labels }, values }) => {
    const said = Object.entries(labels)
      .map(([key, value]) => `${key}="${value}"`)
      .join(',');
    return `${name}{${said}} ${values[0][1]} ${values[0][0] * 1000}`;
  });
}

function matching(texts, regex) {
  if (!regex) return texts.map((text) => option(text));
  const [, body, flags = ''] = /^\/(.*)\/(\w*)$/s.exec(regex) ?? [null, regex];
  const pattern = new RegExp(body, flags.replace('g', ''));
  return texts
    .map((text) => pattern.exec(text))
    .filter(Boolean)
    .map((found) => {
      const value = found.groups?.value ?? found.groups?.text ?? found[1] ?? found[0];
      return option(found.groups?.text ?? value, value);
    });
}

function unique(options) {
  return [...new Map(options.map((one) => [one.value, one])).values()];
}

// Grafana's codes: 0 none, 1/2 alphabetical, 3/4 by number, 5/6 without case; even ones are descending
function sorted(options, code) {
  if (!code) return options;
  const orders = [
    (a, b) => (a.text < b.text ? -1 : 1),
    (a, b) => parseFloat(a.text.replace(/^\D+/, '')) - parseFloat(b.text.replace(/^\D+/, '')),
    (a, b) => a.text.localeCompare(b.text, undefined, { sensitivity: 'base' }),
  ];
  const order = orders[Math.min(2, Math.floor((code - 1) / 2))];
  return [...options].sort((a, b) => (code % 2 ? order(a, b) : order(b, a)));
}
