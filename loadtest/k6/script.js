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

// Milliseconds on the clock that all VUs share, which starts with the test.
const open = config.gun + config.warmup;
const close = open + config.window;

const inWindow = (now) => open <= now && now < close;

// classify returns the class of a request without a complete answer.
function classify(code, message) {
  // The request never left k6, and never will.
  if (code === 1020 || message.includes('net/http: invalid')) exec.test.abort(message);
  const known = config.codes[code - 1000];
  if (known) return known - 1;
  const found = config.messages.find(([part]) => message.includes(part));
  return found ? found[1] - 1 : classes.read;
}

const ok = -1;

// request returns the response and the class of its failure, or ok.
function request() {
  let res;
  try {
    res = http.request(config.method, config.url, body, params);
  } catch (e) {
    const message = String(e);
    if (!message.includes('unsupported response status')) exec.test.abort(message);
    return [null, classes.malformed];
  }
  if (res.status === 0) return [res, classify(res.error_code, res.error)];
  // A VU has no memory: cookies that the server sets would change the next request.
  if (res.headers['Set-Cookie'] !== undefined) params.jar = new http.CookieJar();
  return [res, 200 <= res.status && res.status < 300 ? ok : classes.status];
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

function loop() {
  const clock = exec.instance;
  sleepUntil(clock, config.gun);
  let pause = firstPause;
  for (let now = clock.currentTestRunDuration; now < close;) {
    const begun = now;
    const [res, failed] = request();
    now = clock.currentTestRunDuration;
    if (failed === classes.dial || failed === classes.tls) {
      failures[failed].add(1);
      if (inWindow(now)) connects.add(now - begun);
      sleep(pause / 1000);
      pause = Math.min(2 * pause, lastPause);
      now = clock.currentTestRunDuration;
      continue;
    }
    pause = firstPause;
    if (failed !== ok) {
      failures[failed].add(1);
    } else if (inWindow(now)) {
      latency.add(res.timings.duration);
    } else {
      outside.add(1);
    }
    if (res !== null && res.timings.connecting > 0 && inWindow(now)) connects.add(res.timings.blocked);
  }
}

// edges says when the window opens and closes. It makes no requests, so none delays it.
export function edges() {
  const clock = exec.instance;
  sleepUntil(clock, open);
  console.log(config.token);
  sleepUntil(clock, close);
  console.log(config.token);
}

function sleepUntil(clock, when) {
  // More than once, because a run that is aborted ends the sleep, too: then it must not seem to be time.
  for (let left; (left = when - clock.currentTestRunDuration) > 0;) sleep(left / 1000);
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
