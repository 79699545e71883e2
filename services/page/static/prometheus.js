// PromQL in, Prometheus' answers out, by the page's read-only proxy. Errors say what Prometheus said.
const API = '/api/prometheus/api/v1/';

async function ask(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''));
  let answer;
  try {
    answer = await fetch(`${API}${path}?${query}`);
  } catch {
    throw new Error('this page does not answer any more');
  }
  const body = await answer.json().catch(() => ({ error: `status ${answer.status}` }));
  if (body.status !== 'success') throw new Error(body.error ?? `status ${answer.status}`);
  return body.data;
}

// [{ metric, values: [[seconds, text], ...] }], one point if `time` is an instant
export async function askInstant(query, time) {
  const { resultType, result } = await ask('query', { query, time });
  if (resultType === 'matrix') return result;
  if (resultType === 'scalar') return [{ metric: {}, values: [result] }];
  return result.map(({ metric, value }) => ({ metric, values: [value] }));
}

export async function askRange(query, start, end, step) {
  const { result } = await ask('query_range', { query, start, end, step });
  return result;
}

export function askLabelValues(label, match, start, end) {
  return ask(`label/${encodeURIComponent(label)}/values`, { 'match[]': match, start, end });
}
