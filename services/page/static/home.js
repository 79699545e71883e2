// Keeps the first page fresh: asks for it again and shows the new one; says so when nobody answers.
const EVERY_MS = 10_000;

async function refresh() {
  try {
    const answer = await fetch(location.pathname, { signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const reader = document.activeElement;
    const at = reader?.closest('main') ? reader.getAttribute('href') : null;
    document.querySelector('main').replaceWith(fresh.querySelector('main'));
    document.title = fresh.title;
    if (at) document.querySelector(`main a[href="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
  } catch (error) {
    const said = `This page does not answer any more (${error.message}): what you see is old.`;
    document.getElementById('freshness').textContent = said;
  }
}

setInterval(() => document.hidden || refresh(), EVERY_MS);
document.addEventListener('visibilitychange', () => document.hidden || refresh());
