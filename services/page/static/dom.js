// Elements out of tag, attributes and children. Text is always text: nothing here reads HTML.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'style') setStyle(made, value);
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return made;
}

function setStyle(made, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('--')) made.style.setProperty(name, value);
    else made.style[name] = value;
  }
}

// A link where the address is a web address or a path of ours, else only its text.
export function link(address, ...children) {
  const safe = safeAddress(address);
  return safe ? element('a', { href: safe, rel: 'noopener' }, ...children) : element('span', {}, ...children);
}

export function safeAddress(address) {
  try {
    const url = new URL(address, location.href);
    return ['http:', 'https:'].includes(url.protocol) ? address : null;
  } catch {
    return null;
  }
}
