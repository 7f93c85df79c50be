"""How many requests per second does a web server take, and at what latency?

The server of rampart runs on one VM. A client on another VM ramps load onto it:
levels of 1, 2, 4, 8... virtual users (VUs), until more VUs give no more. With
--flask_clients several client VMs share the VUs of each level: they begin at one
agreed instant, their rates are added up and their latency histograms merged.

The binaries come from `make pkb-binaries` in rampart. The first four samples are
those of the benchmark that this one replaces: vus, rps, resp_time, req_failed.
"""

import base64
import dataclasses
import fractions
import ipaddress
import json
import logging
import math
import os
import posixpath
import re
import shlex
import struct
import time
import zlib

from absl import flags
from perfkitbenchmarker import background_tasks
from perfkitbenchmarker import configs
from perfkitbenchmarker import data
from perfkitbenchmarker import errors
from perfkitbenchmarker import sample
from perfkitbenchmarker import vm_util

BENCHMARK_NAME = 'flask_benchmark'
BENCHMARK_CONFIG = """
flask_benchmark:
  description: Ramps load onto a web server until it gives no more.
  vm_groups:
    server:
      vm_spec: *default_dual_core
      vm_count: 1
    client:
      vm_spec: *default_dual_core
      vm_count: 1
"""

# What `uname -m` says, what the names of the binaries say, and the machine field
# of ELF.
_ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64'}
_ELF_MACHINES = {'amd64': 62, 'arm64': 183}

FLAGS = flags.FLAGS

_ITERATIONS = flags.DEFINE_integer(
    'flask_iterations',
    60000,
    'How much each request has to compute.',
    lower_bound=0,
    upper_bound=1 << 62,
)
_DURATION = flags.DEFINE_string(
    'flask_duration',
    '30s',
    'How long each level is measured: 80s, 1m30s, 500ms.',
)
_CLIENTS = flags.DEFINE_integer(
    'flask_clients',
    None,
    'Number of client VMs, which share the virtual users of each level. The '
    'default is --num_vms where that is given, else what the configuration '
    'has: 1.',
    lower_bound=1,
)
_PORT = flags.DEFINE_integer(
    'flask_port',
    80,
    'Port of the server. Below 1024 the server runs as root.',
    lower_bound=1,
    upper_bound=65535,
)
_STOP = flags.DEFINE_enum(
    'flask_stop',
    'classic',
    ['classic'],
    'Rule that ends the ramp. classic: less than 5 % growth, or failures.',
)
_MAX_VUS = flags.DEFINE_integer(
    'flask_max_vus',
    4096,
    'The ramp ends there.',
    lower_bound=1,
    upper_bound=1 << 20,
)
_REQUEST_TIMEOUT = flags.DEFINE_string(
    'flask_request_timeout',
    '60s',
    'A request that takes longer has failed.',
)
_BINARIES = flags.DEFINE_string(
    'flask_binaries',
    None,
    'Folder with rampart-server-amd64, rampart-client-amd64 and the same for '
    'arm64. The default is wherever --data_search_paths lead.',
)
_ARCH = flags.DEFINE_multi_enum(
    'flask_arch',
    ['amd64', 'arm64'],
    ['amd64', 'arm64'],
    'Architectures that the VMs may have: binaries of each are needed.',
)

# How long the server may take to answer, and a process to end.
_READY_SECONDS = 60
_STOP_SECONDS = 15
# How often is asked whether it has.
_POLL_SECONDS = 0.3
# How far ahead the start of a level is, apart from what ssh and connecting take.
_LEAD_SECONDS = 3
# The classic rule goes on with so much growth, in percent of the new level.
_CLASSIC_GROWTH = 5
# Clients that begin a larger share of the window apart are in doubt.
_SKEW_SHARE = 0.05


def GetConfig(user_config):
  """Returns the configuration, with as many client VMs as the flags ask for."""
  config = configs.LoadConfig(BENCHMARK_CONFIG, user_config, BENCHMARK_NAME)
  clients = _CLIENTS.value
  if clients is None and FLAGS['num_vms'].present:
    clients = FLAGS.num_vms
  if clients is not None:
    config['vm_groups']['client']['vm_count'] = clients
  return config


def CheckPrerequisites(benchmark_config):
  """Finds out before anything is provisioned what would fail afterwards.

  Args:
    benchmark_config: The configuration of the benchmark.

  Raises:
    errors.Setup.InvalidFlagConfigurationError: A flag has a wrong value.
    errors.Setup.MissingExecutableError: A binary is not there, or of another
      architecture than its name says.
  """
  del benchmark_config
  _Nanoseconds('flask_duration', _DURATION.value)
  _Nanoseconds('flask_request_timeout', _REQUEST_TIMEOUT.value)
  if FLAGS['num_vms'].present:
    if FLAGS.num_vms < 1:
      raise errors.Setup.InvalidFlagConfigurationError(
          f'--num_vms={FLAGS.num_vms}: want at least 1 client VM'
      )
    if _CLIENTS.value not in (None, FLAGS.num_vms):
      raise errors.Setup.InvalidFlagConfigurationError(
          f'--flask_clients={_CLIENTS.value} and --num_vms={FLAGS.num_vms} are '
          'both the number of client VMs: want one of them'
      )
  for arch in _ARCH.value:
    for program in ('server', 'client'):
      _CheckBinary(_BinaryPath(program, arch), arch)


def Prepare(benchmark_spec):
  """Starts the server, and waits until it answers every client.

  Args:
    benchmark_spec: The benchmark specification.
  """
  server, clients = _Vms(benchmark_spec)
  background_tasks.RunThreaded(_Program.Install, [server] + clients)
  server.vm.AllowPort(
      _PORT.value,
      source_range=[str(ipaddress.ip_network(_Ip(c.vm))) for c in clients],
  )
  _StartServer(server)
  background_tasks.RunThreaded(
      _AwaitAnswer, [((client, server), {}) for client in clients]
  )


def Run(benchmark_spec):
  """Ramps load onto the server.

  Args:
    benchmark_spec: The benchmark specification.

  Returns:
    A list of sample.Sample: the best level, then all.

  Raises:
    errors.Benchmarks.RunError: A client failed, or no level was accepted.
  """
  server, clients = _Vms(benchmark_spec)
  try:
    if len(clients) == 1:
      levels, stop, version = _RampByClient(server, clients[0])
    else:
      levels, stop, version = _RampByLevels(server, clients)
  except errors.Benchmarks.RunError as e:
    raise errors.Benchmarks.RunError(f'{e}\n{_LogOf(server)}') from e
  for level in levels:
    for doubt in level['doubts']:
      logging.warning('doubt at %d vus: %s', level['vus'], doubt['text'])
  logging.info('stop reason: %s (%s)', stop['reason'], stop['detail'])
  if not any(level['accepted'] for level in levels):
    raise errors.Benchmarks.RunError(
        f'no level was accepted: {stop["reason"]} ({stop["detail"]})\n'
        f'{_LogOf(server)}'
    )
  return _Samples(
      levels,
      {
          'flask_iterations': _ITERATIONS.value,
          'flask_duration': _DURATION.value,
          'flask_request_timeout': _REQUEST_TIMEOUT.value,
          'flask_clients': len(clients),
          'flask_port': _PORT.value,
          'flask_stop': _STOP.value,
          'flask_max_vus': _MAX_VUS.value,
          'flask_rampart': version,
          'flask_stop_reason': stop['reason'],
          'flask_stop_detail': stop['detail'],
      },
  )


def Cleanup(benchmark_spec):
  """Stops what runs, and removes all files from the VMs.

  Args:
    benchmark_spec: The benchmark specification.
  """
  server, clients = _Vms(benchmark_spec)
  # Clients first: the server should not be seen to fail.
  try:
    background_tasks.RunThreaded(_Program.Remove, clients)
  finally:
    server.Remove()


# What the flags say.


_DURATION_UNITS = {
    'ns': 1,
    'us': 10**3,
    'µs': 10**3,
    'μs': 10**3,
    'ms': 10**6,
    's': 10**9,
    'm': 60 * 10**9,
    'h': 3600 * 10**9,
}
_DURATION_PART = r'([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)'


def _Nanoseconds(flag, value):
  """Returns a duration in nanoseconds; reads it as the client will."""
  if re.fullmatch(rf'\+?({_DURATION_PART})+', value):
    duration = sum(
        fractions.Fraction(number) * _DURATION_UNITS[unit]
        for number, unit in re.findall(_DURATION_PART, value)
    )
    if 10**6 <= duration <= 24 * _DURATION_UNITS['h']:
      return int(duration)
  raise errors.Setup.InvalidFlagConfigurationError(
      f'--{flag}={value}: want a duration with a unit, from 1ms to 24h, such '
      'as 30s, 1m30s or 500ms'
  )


def _BinaryPath(program, arch):
  """Returns where the server or the client for an architecture is."""
  name = f'rampart-{program}-{arch}'
  if _BINARIES.value:
    path = os.path.join(os.path.expanduser(_BINARIES.value), name)
    if os.path.isfile(path):
      return path
    where = f'in --flask_binaries={_BINARIES.value}'
  else:
    try:
      return data.ResourcePath(name)
    except data.ResourceNotFound:
      where = 'on the data search paths'
  raise errors.Setup.MissingExecutableError(
      f'{name} is not {where}: `make pkb-binaries` in rampart builds it, '
      '--flask_binaries=FOLDER says where it is, and --flask_arch which '
      'architectures are needed'
  )


def _CheckBinary(path, arch):
  """Raises MissingExecutableError if a file is no Linux program for arch."""
  with open(path, 'rb') as f:
    head = f.read(20)
  machine = int.from_bytes(head[18:20], 'little')
  if head[:6] != b'\x7fELF\2\1' or machine != _ELF_MACHINES[arch]:
    raise errors.Setup.MissingExecutableError(
        f'{path} is not a program for Linux on {arch}: `make pkb-binaries` in '
        'rampart builds it'
    )


# Programs on VMs.


@dataclasses.dataclass(eq=False)
class _Program:
  """The server or a client, and the VM that it is on.

  VMs may be one machine, so each program has a folder of its own.

  Attributes:
    vm: The VM.
    kind: 'server' or 'client'.
    name: What it is called in messages; its folder's name.
    sudo: What comes before commands that root must run.
  """

  vm: object
  kind: str
  name: str
  sudo: str = ''

  @property
  def folder(self):
    return posixpath.join(vm_util.VM_TMP_DIR, f'flaskbench-{self.name}')

  def Shell(self, command, **kwargs):
    """Runs a command in the folder and returns standard output and error."""
    return self.vm.RemoteCommand(f'cd {self.folder} && {command}', **kwargs)

  def Install(self):
    """Puts the binary on the VM, instead of whatever an earlier run left."""
    arch = _ARCHITECTURES.get(self.vm.cpu_arch)
    if arch is None:
      raise errors.Benchmarks.UnsupportedConfigError(
          f'{self.vm.name} is a machine of type {self.vm.cpu_arch}: want one of '
          f'{", ".join(_ARCHITECTURES)}'
      )
    self.Remove()
    self.vm.RemoteCommand(f'mkdir -p {self.folder}')
    self.vm.PushFile(
        _BinaryPath(self.kind, arch),
        posixpath.join(self.folder, f'rampart-{self.kind}'),
    )
    self.Shell(f'chmod 755 rampart-{self.kind}')

  def Remove(self):
    """Stops what the pid file names, if it is this program; removes all."""
    for signal in ('TERM', 'KILL'):
      if not self._Running():
        break
      # It may have ended by itself meanwhile.
      self.Shell(f'{self.sudo}kill -{signal} $(cat pid)', ignore_failure=True)
      _Poll(lambda: not self._Running(), _STOP_SECONDS)
    else:
      if self._Running():
        raise errors.Resource.CleanupError(
            f'rampart-{self.kind} on {self.vm.name} does not stop'
        )
    self.vm.RemoteCommand(f'rm -rf {self.folder}')

  def _Running(self):
    """Whether the process in the pid file is this very program."""
    pid = f'$(cat {self.folder}/pid)'
    stdout, _ = self.vm.RemoteCommand(
        f'test -s {self.folder}/pid && {self.sudo}test /proc/{pid}/exe -ef '
        f'{self.folder}/rampart-{self.kind} && echo running || echo gone'
    )
    return 'running' in stdout


def _Poll(condition, seconds):
  """Waits until a condition holds, and says whether it does in time."""
  deadline = time.monotonic() + seconds
  while not condition():
    if time.monotonic() > deadline:
      return False
    time.sleep(_POLL_SECONDS)
  return True


def _Vms(benchmark_spec):
  """Returns the server and a list of the clients."""
  sudo = 'sudo ' if _PORT.value < 1024 else ''
  server = _Program(
      benchmark_spec.vm_groups['server'][0], 'server', 'server', sudo
  )
  clients = [
      _Program(vm, 'client', f'client-{i}')
      for i, vm in enumerate(benchmark_spec.vm_groups['client'], 1)
  ]
  return server, clients


def _Ip(vm):
  # Of static VMs an internal address need not be known.
  return vm.internal_ip or vm.ip_address


def _Address(ip):
  return f'[{ip}]:{_PORT.value}' if ':' in ip else f'{ip}:{_PORT.value}'


def _Fetch(address):
  """Returns a command that asks the server whether it is well."""
  return (
      'http_proxy= all_proxy= $(command -v curl >/dev/null'
      ' && echo curl -fsS -m 5 -o /dev/null'
      ' || echo wget -nv -T 5 -t 1 -O /dev/null)'
      f' http://{address}/healthz'
  )


def _LogOf(server):
  """Returns the last lines of the server's log, for messages."""
  stdout, stderr = server.Shell('tail -n 40 log', ignore_failure=True)
  return f'log of the server:\n{stdout or stderr}'


def _StartServer(server):
  """Starts the server and waits until it answers on its own VM."""
  # The shell that root runs makes the pid file, so that it holds the pid of the
  # server and not that of sudo.
  start = (
      f'setsid nohup ./rampart-server -addr :{_PORT.value}'
      ' </dev/null >log 2>&1 & echo $! >pid'
  )
  server.Shell(f'{server.sudo}sh -c {shlex.quote(start)}')
  # Another server may have the port and answer: this one must say that it has.
  ready = f'grep -q "^listening on" log && {_Fetch(_Address("127.0.0.1"))}'
  # The process is a shell before it is the server: only that it is there counts.
  state = f'({ready} && echo ready || test -d /proc/$(cat pid) || echo ended)'

  says = ''

  def Settled():
    nonlocal says
    says, _ = server.Shell(state, ignore_failure=True)
    return 'ready' in says or 'ended' in says

  _Poll(Settled, _READY_SECONDS)
  if 'ready' not in says:
    raise errors.Benchmarks.PrepareException(
        f'the server on {server.vm.name} '
        + ('ended' if 'ended' in says else 'does not answer')
        + f'; {_LogOf(server)}'
    )


def _AwaitAnswer(client, server):
  """Waits until the server answers a client."""
  address = _Address(_Ip(server.vm))
  says = ''

  def Answers():
    nonlocal says
    stdout, says = client.Shell(
        f'{_Fetch(address)} && echo ready', ignore_failure=True
    )
    return 'ready' in stdout

  if not _Poll(Answers, _READY_SECONDS):
    raise errors.Benchmarks.PrepareException(
        f'{client.vm.name} gets no answer from {address}: {says.strip()}; does a '
        f'firewall keep it from port {_PORT.value}?\n{_LogOf(server)}'
    )


# Ramps.


def _RunClient(client, server, test, levels, **settings):
  """Runs a client and returns its result as the dict of result.json.

  Args:
    client: The client.
    server: The server.
    test: Name of the experiment.
    levels: How many levels it may have at most.
    **settings: Variables of the experiment beyond those of all.

  Raises:
    errors.Benchmarks.RunError: It failed, with its own words.
  """
  settings = {
      'SERVER': _Address(_Ip(server.vm)),
      'ITERATIONS': _ITERATIONS.value,
      'DURATION': _DURATION.value,
      'REQUEST_TIMEOUT': _REQUEST_TIMEOUT.value,
      'STOP': _STOP.value,
      'RESULTS': posixpath.join(client.folder, 'results'),
      'OUTPUT': 'json',
      **settings,
  }
  environment = ' '.join(
      f'{name}={shlex.quote(str(value))}' for name, value in settings.items()
  )
  window = _Nanoseconds('flask_duration', _DURATION.value) / 1e9
  timeout = _Nanoseconds('flask_request_timeout', _REQUEST_TIMEOUT.value) / 1e9
  try:
    # exec: what the pid file names, and what ends after the time, is the client.
    stdout, _ = client.vm.RobustRemoteCommand(
        f'cd {client.folder} && echo $$ >pid && exec env {environment}'
        f" ./rampart-client -test.run '^{test}$'",
        timeout=math.ceil(levels * (1.1 * window + 3 * timeout + 60)),
    )
  except errors.VirtualMachine.RemoteCommandError as e:
    raise errors.Benchmarks.RunError(
        f'{client.name} on {client.vm.name} failed: {e}'
    ) from e
  try:
    result = json.loads(stdout.strip().rpartition('\n')[2])
    if result['version'] != 1:
      raise ValueError(f'version {result["version"]}: want 1')
  except (ValueError, KeyError, TypeError) as e:
    raise errors.Benchmarks.RunError(
        f'{client.name} on {client.vm.name} ended without a result ({e}): '
        f'{stdout}'
    ) from e
  for level in result['levels']:
    level['cpus'] = result['machine']['cpus']
  return result


def _RampByClient(server, client):
  """Lets one client ramp; returns levels, stop and version."""
  result = _RunClient(
      client,
      server,
      'TestRamp',
      _MAX_VUS.value.bit_length(),
      MAX_VUS=_MAX_VUS.value,
  )
  return result['levels'], result['stop'], result['rampart']


def _RampByLevels(server, clients):
  """Ramps with several clients; returns levels, stop and version."""
  # What the first of these commands sets up would make the first level late.
  background_tasks.RunThreaded(
      lambda client: client.vm.RobustRemoteCommand('true'), clients
  )
  levels = []
  previous = None
  vus = 1
  while True:
    level, version = _MeasureLevel(server, clients, vus)
    level['accepted'], stop = _Classic(previous, level, _MAX_VUS.value)
    levels.append(level)
    logging.info(
        'Injecting with %d vus. rps=%.2f resp_time=%.3f res_failed=%d',
        vus,
        level['req_per_s'],
        level['latency']['p95_ns'] / 1e6,
        level['failed'],
    )
    if stop:
      return levels, stop, version
    previous = level
    vus *= 2


def _Classic(previous, level, max_vus):
  """The stop rule of the client, for levels that several have measured.

  Args:
    previous: The level before; None: there was none.
    level: The level that has just been measured.
    max_vus: No level has more virtual users.

  Returns:
    Whether the level is accepted, and None if the ramp goes on with twice as
    many virtual users, else why it ends: a dict with reason and detail.
  """
  rate = level['req_per_s']
  before = previous['req_per_s'] if previous else 0
  growth = (rate - before) * 100 / rate if rate else 0
  if level['failed'] > 0:
    return False, {
        'reason': 'failures',
        'detail': f'{level["failed"]} requests failed at {level["vus"]} vus',
    }
  if rate == 0:
    return False, {
        'reason': 'knee',
        'detail': (
            f'no request ended in the window of {level["window_ns"] / 1e9:g}s '
            f'at {level["vus"]} vus'
        ),
    }
  if growth < _CLASSIC_GROWTH:
    return False, {
        'reason': 'knee',
        'detail': (
            f'from {previous["vus"]} to {level["vus"]} vus: throughput '
            f'{growth:+.2f} %, needed {_CLASSIC_GROWTH:+d} %'
        ),
    }
  if level['vus'] > max_vus // 2:
    return True, {
        'reason': 'max-vus',
        'detail': f'the next level would have more than {max_vus} vus',
    }
  return True, None


def _Split(vus, clients):
  """Splits virtual users: as even as can be, and at least one for a client."""
  clients = min(vus, clients)
  return [vus // clients + (i < vus % clients) for i in range(clients)]


@dataclasses.dataclass
class _Clock:
  """By how many seconds a clock is ahead of this machine's: between these."""

  least: float
  most: float

  @property
  def offset(self):
    return (self.least + self.most) / 2

  @property
  def uncertainty(self):
    return (self.most - self.least) / 2


def _AskClock(client):
  """Asks a client for the time."""
  asked = time.time()
  stdout, _ = client.vm.RemoteCommand('date +%s.%N')
  answered = time.time()
  return _Clock(float(stdout) - answered, float(stdout) - asked)


def _MeasureLevel(server, clients, vus):
  """Measures one level with several clients at once.

  Args:
    server: The server.
    clients: The clients. Where there are more than virtual users, the first.
    vus: Virtual users of all together.

  Returns:
    The merged level, with the levels of the clients in 'clients', each with its
    'clock'; and the version of the clients.

  Raises:
    errors.Benchmarks.RunError: Clients failed, with their own words.
  """
  shares = _Split(vus, len(clients))
  clients = clients[: len(shares)]
  clocks = background_tasks.RunThreaded(_AskClock, clients, len(clients))
  # All get the same instant: clocks in a cloud agree better than ssh can tell.
  # It is ahead on the clock that is most ahead.
  lead = (
      _LEAD_SECONDS
      + 8 * max(clock.uncertainty for clock in clocks)
      + 0.005 * max(shares)
  )
  start_at = time.time() + max(clock.most for clock in clocks) + lead

  def Measure(client, share):
    try:
      return _RunClient(
          client,
          server,
          'TestLevel',
          1,
          VUS=share,
          START_AT=f'{start_at:.6f}',
      )
    except errors.Benchmarks.RunError as e:
      return e

  results = background_tasks.RunThreaded(
      Measure,
      [((client, share), {}) for client, share in zip(clients, shares)],
      len(clients),
  )
  failed = [r for r in results if isinstance(r, errors.Benchmarks.RunError)]
  if failed:
    raise errors.Benchmarks.RunError('\n'.join(str(e) for e in failed))
  levels = [result['levels'][0] for result in results]
  try:
    merged = _MergeLevels(levels)
  except ValueError as e:
    raise errors.Benchmarks.RunError(f'level of {vus} vus: {e}') from e
  for level, clock in zip(levels, clocks):
    level['clock'] = clock
  # Their own clocks do not tell clients that they disagree.
  apart = max(c.least for c in clocks) - min(c.most for c in clocks)
  if apart * 1e9 > _SKEW_SHARE * merged['window_ns']:
    merged['doubts'].append({
        'kind': 'clocks',
        'text': (
            f'the clocks of two clients are at least {apart:.3f} s apart, so '
            'their rates were not there at the same time: synchronize them'
        ),
    })
  return merged, results[0]['rampart']


def _MergeLevels(levels):
  """Makes one level of those that clients measured at the same time.

  It is what the client itself makes of them: sums of counts and rates;
  percentiles of the merged histogram; CPU time of the server, which each client
  read from the same counter, over all requests; doubts of all.

  Args:
    levels: Dicts as in the levels of result.json.

  Returns:
    A dict of the same kind, with the levels in 'clients'.

  Raises:
    ValueError: A histogram cannot be read, or does not go with the others.
  """
  histogram = _Histogram()
  for number, level in enumerate(levels, 1):
    encoded = level['latency'].get('histogram_us')
    one = _Histogram.Decode(encoded) if encoded else _Histogram()
    if one.total != level['requests']:
      raise ValueError(
          f'client {number} has {level["requests"]} requests and {one.total} '
          'latencies'
      )
    histogram.Add(one)

  def Sum(key):
    return sum(level[key] for level in levels)

  requests, rate = Sum('requests'), Sum('req_per_s')
  window = max(level['window_ns'] for level in levels)
  merged = {
      'vus': Sum('vus'),
      'accepted': all(level['accepted'] for level in levels),
      'partial': any(level.get('partial') for level in levels),
      'warmup_ns': max(level['warmup_ns'] for level in levels),
      'window_ns': window,
      'requests': requests,
      'completed': Sum('completed'),
      'req_per_s': rate,
      'failed': Sum('failed'),
      'failures': {},
      'latency': {
          'mean_ns': sum(
              level['latency']['mean_ns'] * level['requests']
              for level in levels
          )
          // max(requests, 1),
          'p50_ns': 1000 * histogram.Percentile(50),
          'p95_ns': 1000 * histogram.Percentile(95),
          'p99_ns': 1000 * histogram.Percentile(99),
          'max_ns': 1000 * histogram.Percentile(100),
      },
      'injector': {
          'busy': max(level['injector']['busy'] for level in levels),
          'delay_ns': max(level['injector']['delay_ns'] for level in levels),
      },
      'doubts': [],
      'clients': levels,
  }
  for number, level in enumerate(levels, 1):
    for name, count in level['failures'].items():
      merged['failures'][name] = merged['failures'].get(name, 0) + count
    for doubt in level['doubts']:
      merged['doubts'].append(
          {'kind': doubt['kind'], 'text': f'client {number}: {doubt["text"]}'}
      )
  know = [level for level in levels if 'server_cpu_ns_per_op' in level]
  if know and rate:
    busy = sum(
        level['server_cpu_ns_per_op'] * level['req_per_s'] * level['window_ns']
        for level in know
    ) / sum(level['window_ns'] for level in know)
    merged['server_cpu_ns_per_op'] = busy / rate
  if all('cpu_cores' in level['injector'] for level in levels):
    cores = sum(level['injector']['cpu_cores'] for level in levels)
    merged['injector']['cpu_cores'] = cores
    if rate:
      merged['client_cpu_ns_per_op'] = cores * 1e9 / rate
  starts = [level.get('started_unix_ns', 0) for level in levels]
  if all(starts):
    merged['started_unix_ns'] = min(starts)
    apart = max(starts) - min(starts)
    if apart > _SKEW_SHARE * window:
      merged['doubts'].append({
          'kind': 'start-skew',
          'text': (
              f'clients began up to {apart / 1e6:.0f}ms apart, '
              f'{100 * apart / window:.0f} % of the window: their rates were '
              'not there at the same time'
          ),
      })
  return merged


# Samples.


def _Samples(levels, metadata):
  """Returns the samples of the best level, as ever, then those of all."""

  def Metadata(level):
    latency = level['latency']
    result = {
        **metadata,
        'flask_vus': level['vus'],
        'flask_accepted': level['accepted'],
        'flask_p50_ms': latency['p50_ns'] / 1e6,
        'flask_p99_ms': latency['p99_ns'] / 1e6,
        'flask_doubts': ', '.join(sorted({d['kind'] for d in level['doubts']})),
    }
    if level['failures']:
      result['flask_failures'] = ', '.join(
          f'{name} {count}' for name, count in sorted(level['failures'].items())
      )
    if 'server_cpu_ns_per_op' in level:
      result['flask_server_cpu_us_per_request'] = (
          level['server_cpu_ns_per_op'] / 1e3
      )
    return result

  def Triple(level, prefix=''):
    about = Metadata(level)
    return [
        sample.Sample(prefix + 'rps', level['req_per_s'], 'rps', about),
        sample.Sample(
            prefix + 'resp_time', level['latency']['p95_ns'] / 1e6, 'ms', about
        ),
        sample.Sample(
            prefix + 'req_failed', level['failed'], 'requests', about
        ),
    ]

  # Each accepted level has more throughput than the one before.
  best = [level for level in levels if level['accepted']][-1]
  samples = [sample.Sample('vus', best['vus'], 'vus', Metadata(best))]
  samples += Triple(best)
  for level in levels:
    samples += Triple(level, 'level_')
    for number, client in enumerate(level.get('clients', [level]), 1):
      about = {**Metadata(level), 'flask_client': number}
      if 'cpu_cores' in client['injector']:
        share = 100 * client['injector']['cpu_cores'] / client['cpus']
        samples.append(
            sample.Sample('client_cpu_share', share, 'percent', about)
        )
      if 'start_skew_ns' in client:
        skew = client['start_skew_ns'] / 1e6
        clock = client['clock']
        about = {
            **about,
            'flask_clock_offset_ms': 1e3 * clock.offset,
            'flask_clock_offset_uncertainty_ms': 1e3 * clock.uncertainty,
        }
        samples.append(sample.Sample('start_skew', skew, 'ms', about))
  return samples


# Histograms.


class _Histogram:
  """An HdrHistogram: counts of values, which have a fixed number of digits.

  Values are in groups that double in width ("buckets"), each with the same
  number of steps, of which the lower half is in the group before.

  Attributes:
    total: How many values there are.
  """

  _COMPRESSED = 0x1C849304
  _PLAIN = 0x1C849303
  # Four bits of the cookie hold the width of words.
  _COOKIE = ~0xF0

  def __init__(self, digits=None, lowest=1):
    self._digits = digits
    self._unit = lowest.bit_length() - 1
    self._counts = {}
    self.total = 0

  @classmethod
  def Decode(cls, text):
    """Reads the compressed V2 encoding in base64; ValueError if it is none."""
    try:
      raw = base64.b64decode(text, validate=True)
      cookie, length = struct.unpack_from('>iI', raw)
      if cookie & cls._COOKIE != cls._COMPRESSED:
        raise ValueError(f'cookie {cookie:#x}')
      raw = zlib.decompress(raw[8 : 8 + length])
      cookie, length, shift, digits, lowest, _, ratio = struct.unpack_from(
          '>iIiiqqd', raw
      )
      if cookie & cls._COOKIE != cls._PLAIN:
        raise ValueError(f'inner cookie {cookie:#x}')
      if shift != 0 or ratio != 1 or not 1 <= digits <= 5 or lowest < 1:
        raise ValueError('values that are shifted or scaled')
      if len(raw) != 40 + length:
        raise ValueError(f'{len(raw) - 40} bytes of counts, said to be {length}')
      histogram = cls(digits, lowest)
      index = 0
      for count in cls._Numbers(raw[40:]):
        if count < 0:  # so many values that did not occur
          index -= count
          continue
        if count:
          histogram._counts[index] = count
          histogram.total += count
        index += 1
      return histogram
    except (ValueError, struct.error, zlib.error, IndexError) as e:
      raise ValueError(f'no histogram in the V2 encoding: {e}') from e

  @staticmethod
  def _Numbers(raw):
    """Yields ZigZag numbers of seven bits a byte; a ninth byte has eight."""
    at = 0
    while at < len(raw):
      number = shift = 0
      while True:
        byte = raw[at]
        at += 1
        if shift == 56:
          number |= byte << shift
          break
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
          break
        shift += 7
      yield (number >> 1) ^ -(number & 1)

  def Add(self, other):
    """Adds the values of another; ValueError if it has another resolution."""
    if other._digits is None:
      return
    if self._digits is None:
      self._digits, self._unit = other._digits, other._unit
    if (self._digits, self._unit) != (other._digits, other._unit):
      raise ValueError('histograms of different resolution cannot be merged')
    for index, count in other._counts.items():
      self._counts[index] = self._counts.get(index, 0) + count
    self.total += other.total

  def Percentile(self, percentile):
    """Returns the highest value that counts as the one at a percentile."""
    if not self.total:
      return 0
    rank = int(min(max(percentile / 100 * self.total + 0.5, 1), self.total))
    for index in sorted(self._counts):
      rank -= self._counts[index]
      if rank <= 0:
        return self._Highest(index)
    raise AssertionError('fewer values than their total')

  def _Highest(self, index):
    """Returns the highest value that an index stands for."""
    # 2 * 10^digits steps, rounded up to a power of two; half of them a group.
    half = (2 * 10**self._digits - 1).bit_length() - 1
    bucket, step = (index >> half) - 1, index & ((1 << half) - 1)
    if bucket < 0:
      bucket = 0
    else:
      step += 1 << half
    return ((step + 1) << (bucket + self._unit)) - 1
