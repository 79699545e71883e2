// One panel: its frame on the page, its queries, and what they answered, drawn anew at every refresh.
import { element, link, safeAddress } from './dom.js';
import { configure } from './fields.js';
import { KINDS } from './panels/kinds.js';
import { runTargets } from './queries.js';
import { transform } from './transformations.js';

export class Panel {
  #json;
  #title;
  #body;
  #note;
  #about;
  #end = () => {};
  #turn = 0;
  #memory = {};

  constructor(json) {
    this.#json = json;
    this.#title = element('h3', {});
    this.#body = element('div', { class: 'body', tabindex: json.type === 'table' ? 0 : null });
    this.#note = element('p', { class: 'note', hidden: true });
    this.#about = json.description
      ? [
          element(
            'details',
            { class: 'about' },
            element('summary', { 'aria-label': 'What this panel says' }, 'i'),
            element('p', {}, json.description),
          ),
        ]
      : [];
    this.box = element(
      'article',
      { class: 'panel', 'data-kind': json.type },
      element('header', {}, this.#title, this.#about),
      this.#note,
      this.#body,
    );
  }

  async draw(context) {
    const turn = ++this.#turn; // a slow answer to an older question must not win
    const { variables } = context;
    const title = variables.replace(this.#json.title ?? '');
    this.#title.replaceChildren(...titleOf(title, this.#json, context));
    this.box.setAttribute('aria-label', title);
    for (const about of this.#about)
      about.querySelector('p').textContent = variables.replace(this.#json.description);
    try {
      const kind = KINDS[this.#json.type];
      if (!kind)
        throw new UnknownKind(`The panel kind "${this.#json.type}" is not drawn here, only in Grafana.`);
      const own = {
        ...context,
        memory: this.#memory,
        width: Math.max(120, this.#body.clientWidth),
        link: linker(variables),
      };
      const frames = this.#json.type === 'text' ? [] : await this.#frames(own);
      if (turn === this.#turn) this.#show(kind(this.#json, frames, own));
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    }
  }

  async #frames(context) {
    const points = this.#json.type === 'heatmap' ? Math.min(context.width / 8, 150) : context.width / 2;
    const frames = await runTargets(this.#json, context, Math.round(points));
    return configure(transform(frames, this.#json.transformations), this.#json, context.variables);
  }

  #show(drawn) {
    this.#end();
    this.#end = () => {};
    this.#note.hidden = true;
    this.box.dataset.state = drawn === null ? 'empty' : 'drawn';
    const noValue = this.#json.fieldConfig?.defaults?.noValue;
    if (drawn === null) this.#body.replaceChildren(element('p', { class: 'empty' }, noValue ?? 'No data'));
    else if (drawn.mounted) {
      this.#body.replaceChildren(...drawn.elements.filter(Boolean));
      this.#end = drawn.mounted();
    } else this.#body.replaceChildren(...[drawn].flat().filter(Boolean));
  }

  #fail(error) {
    this.#end();
    this.#end = () => {};
    this.box.dataset.state = error instanceof UnknownKind ? 'unknown' : 'error';
    this.#body.replaceChildren();
    this.#note.hidden = false;
    this.#note.textContent = error.message;
    if (!(error instanceof UnknownKind)) console.warn(`warned: ${this.#json.title}: ${error.message}`);
  }
}

class UnknownKind extends Error {}

function titleOf(title, json, { variables }) {
  const first = (json.links ?? [])[0];
  const address = first && safeAddress(variables.replace(first.url, {}, 'address'));
  return address
    ? [
        title,
        ' ',
        element('a', { href: address, class: 'more', title: first.title }, `${first.title || 'more'} ›`),
      ]
    : [title];
}

// Data links: the address may name labels, the row's fields and the value.
const linker =
  (variables) =>
  (address, field, value, content, row = {}) => {
    const part = (text) => (/^https?:\/\//.test(text) ? text : encodeURIComponent(text));
    const filled = address
      .replace(/\$\{__field\.labels\.([^}]+)\}/g, (_, label) => part(field.labels?.[label] ?? ''))
      .replace(/\$\{__data\.fields(?:\.([^}\]]+)|\[["']?([^}\]"']+)["']?\])\}/g, (_, dotted, quoted) =>
        part(row[dotted ?? quoted] ?? ''),
      )
      .replace(/\$\{__value\.(?:raw|text|numeric)\}/g, () => part(value ?? ''));
    return link(variables.replace(filled, {}, 'address'), content);
  };
