import http from 'k6/http';

export const options = { discardResponseBodies: true };

export default function () {
  http.get(__ENV.URL);
}

export function handleSummary({ metrics }) {
  return { stdout: JSON.stringify({ http_reqs: metrics.http_reqs?.values, http_req_failed: metrics.http_req_failed?.values }) };
}
