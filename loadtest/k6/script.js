// One level of closed-loop load. Package rampart/loadtest/k6 puts a JSON text in place of CONFIG.
import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';
import { b64decode } from 'k6/encoding';
import { Counter, Trend } from 'k6/metrics';

// Parsed at run time, because "__proto__" has a meaning of its own in source.
const config = JSON.parse(CONFIG);

export const options = {
  scenarios: {
    // One iteration holds the whole loop: k6 then has nothing to do between two requests.
    load: scenario(config.vus, 'load'),
    edges: scenario(1, 'edges'),
  },
  summaryTrendStats: config.stats,
  systemTags: [], // nobody looks at them, and each costs something with each request
  userAgent: 'rampart',
  discardResponseBodies: true,
  maxRedirects: 0,
  noConnectionReuse: config.noKeepAlive,
  insecureSkipTLSVerify: config.insecure,
  hosts: config.hosts ?? {},
};

function scenario(vus, name) {
  return {
    executor: 'per-vu-iterations', vus, iterations: 1, exec: name, maxDuration: config.maxDuration, gracefulStop: '0s',
  };
}

const latency = new Trend('rampart_latency'); // of requests that ended in the window
const outside = new Counter('rampart_outside'); // requests that ended outside of it
const connects = new Counter('rampart_connects'); // milliseconds of connecting in the window
const failures = config.classes.map((name) => new Counter(`rampart_failed_${name}`));
const classes = Object.fromEntries(config.classes.map((name, i) => [name, i]));

const body = config.body === null ? null : b64decode(config.body);
const params = { headers: config.headers, timeout: config.timeout };

// k6 would judge each response once more.
http.setResponseCallback(null);

// classify returns the class of a request without a complete answer.
function classify(code, message) {
  // The request never left k6, and never will.
  if (code === 1020 || message.includes('net/http: invalid')) exec.test.abort(message);
  const known = config.codes[code - 1000];
  if (known) return known - 1;
  const found = config.messages.find(([part]) => message.includes(part));
  return found ? found[1] - 1 : classes.read;
}

// classifyException returns the class of the only failure that k6 throws.
function classifyException(message) {
  if (!message.includes('unsupported response status')) exec.test.abort(message);
  return classes.malformed;
}

// A VU that cannot connect waits before it tries again, as long as the built-in engine does.
const firstPause = 1;
const lastPause = 100;

export function load() {
  try {
    loop();
  } catch (e) {
    exec.test.abort(String(e)); // else k6 would only say so, and go on without this VU
  }
}

// What this costs between two requests is taken from the throughput. So each request is looked at as little as possible,
// and the clock is the cheapest there is. It has milliseconds, which are cut off at both edges of the window alike.
function loop() {
  const gun = exec.scenario.startTime + config.gun;
  const open = gun + config.warmup;
  const close = open + config.window;
  // VUs that begin together also get their answers together, and wait for each other in k6, for as long as the server
  // takes equally long for all. The golden ratio spreads any number of VUs evenly.
  sleepUntil(gun - config.gun * ((exec.vu.idInTest * 0.6180339887) % 1));
  let pause = firstPause;
  for (let now = Date.now(); now < close;) {
    const begun = now;
    let res;
    let failed;
    try {
      res = http.request(config.method, config.url, body, params);
    } catch (e) {
      failed = classifyException(String(e));
    }
    now = Date.now();
    if (res !== undefined) {
      const status = res.status;
      if (200 <= status && status < 300) {
        // A VU has no memory: cookies that the server sets would change the next request.
        if (res.headers['Set-Cookie'] !== undefined) params.jar = new http.CookieJar();
      } else {
        failed = status === 0 ? classify(res.error_code, res.error) : classes.status;
      }
      const timings = res.timings;
      if (now < open || now >= close) {
        if (failed === undefined) outside.add(1);
      } else {
        if (failed === undefined) latency.add(timings.duration);
        if (timings.connecting > 0) connects.add(timings.blocked);
      }
    }
    if (failed === undefined) {
      pause = firstPause;
      continue;
    }
    failures[failed].add(1);
    if (failed === classes.dial || failed === classes.tls) {
      if (open <= now && now < close) connects.add(now - begun);
      sleep(pause / 1000);
      pause = Math.min(2 * pause, lastPause);
      now = Date.now();
    } else {
      pause = firstPause;
    }
  }
}

// edges says when the window opens and closes. It makes no requests, so none delays it.
export function edges() {
  const open = exec.scenario.startTime + config.gun + config.warmup;
  sleepUntil(open);
  console.log(config.token);
  sleepUntil(open + config.window);
  console.log(config.token);
}

function sleepUntil(when) {
  // More than once, because a run that is aborted ends the sleep, too: then it must not seem to be time.
  for (let left; (left = when - Date.now()) > 0;) sleep(left / 1000);
}

export function handleSummary(data) {
  const count = (name) => data.metrics[name]?.values.count ?? 0;
  return {
    stdout: JSON.stringify({
      rampart: 1,
      latency: data.metrics.rampart_latency?.values ?? null,
      outside: count('rampart_outside'),
      connects: count('rampart_connects'),
      failures: Object.fromEntries(config.classes.map((name) => [name, count(`rampart_failed_${name}`)])),
    }) + '\n',
  };
}
