"""How many requests per second does a web server take, and at what latency?

The server of rampart runs on one VM. A client on another VM ramps load onto it:
levels of 1, 2, 4, 8... virtual users (VUs), until more VUs give no more. With
--flask_clients several client VMs share the VUs of each level and begin at one
agreed instant; the client program merges what they measured.

The binaries come from `make pkb-binaries` in rampart. The first four samples
are those of the benchmark that this one replaces: vus, rps, resp_time and
req_failed. The next one is the capacity, with its interval where there is one.
"""

import dataclasses
import ipaddress
import json
import logging
import math
import os
import posixpath
import re
import shlex
import time
from typing import Any, Callable

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

# What `uname -m` says, what the names of the binaries say, and the machine
# field of ELF.
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
    'How long each level is measured: seconds, or 80s, 1m30s, 500ms.',
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
    None,
    ['confident', 'classic'],
    'Rule that ends the ramp. confident: levels are measured in turns until '
    'two doublings are shown not to give 5 % more, and the capacity has an '
    'interval. classic: one sample of each level, until one gives less than '
    '5 % more. The default is confident, and classic with several clients, '
    'which cannot measure in turns.',
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
    'A request that takes longer has failed: seconds, or as --flask_duration.',
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
# How far ahead the start of a level is, apart from what ssh and connecting
# take.
_LEAD_SECONDS = 3
# What each virtual user adds to it, and all of them at most: connections that
# wait long for their first request are closed by servers.
_CONNECT_SECONDS = 0.001
_CONNECT_SECONDS_MAX = 5
# How many levels a confident ramp puts between doublings, at most.
_HALVINGS = 2
# Clocks that are a larger share of the window apart are in doubt.
_SKEW_SHARE = 0.05

# A result of the client, or a level of one, as result.json has it.
_Json = dict[str, Any]


def GetConfig(user_config: _Json) -> _Json:
  """Returns the configuration, with as many client VMs as the flags ask for."""
  config = configs.LoadConfig(BENCHMARK_CONFIG, user_config, BENCHMARK_NAME)
  clients = _CLIENTS.value
  if clients is None and FLAGS['num_vms'].present:
    clients = FLAGS.num_vms
  if clients is not None:
    config['vm_groups']['client']['vm_count'] = clients
  return config


def CheckPrerequisites(benchmark_config: Any) -> None:
  """Finds out before anything is provisioned what would fail afterwards.

  Raises:
    errors.Setup.InvalidFlagConfigurationError: A flag has a wrong value.
    errors.Setup.MissingExecutableError: A binary is not there, or of another
      architecture than its name says.
  """
  _Seconds('flask_duration', _DURATION.value)
  _Seconds('flask_request_timeout', _REQUEST_TIMEOUT.value)
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
  clients = _ClientCount(benchmark_config)
  if clients > 1 and _STOP.value == 'confident':
    raise errors.Setup.InvalidFlagConfigurationError(
        f'--flask_stop=confident with {clients} client VMs: want '
        '--flask_stop=classic, because several clients cannot measure in turns'
    )
  for arch in _ARCH.value:
    for program in ('server', 'client'):
      _CheckBinary(_BinaryPath(program, arch), arch)


def Prepare(benchmark_spec: Any) -> None:
  """Starts the server, and waits until it answers every client."""
  # Also after an error or an interrupt, which leave a load and a server behind.
  benchmark_spec.always_call_cleanup = True
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


def Run(benchmark_spec: Any) -> list[sample.Sample]:
  """Ramps load onto the server.

  Returns:
    A list of sample.Sample: the best level, then all.

  Raises:
    errors.Benchmarks.RunError: A client failed, the server ended, or no level
      was accepted.
  """
  server, clients = _Vms(benchmark_spec)
  try:
    if len(clients) == 1:
      ramp = _RampByClient(server, clients[0])
    else:
      ramp = _RampByLevels(server, clients)
    if not server.Serves():
      raise errors.Benchmarks.RunError(
          f'the server on {server.vm.name} ended during the ramp'
      )
  except errors.Benchmarks.RunError as e:
    raise errors.Benchmarks.RunError(f'{e}\n{_LogOf(server)}') from e
  levels, stop = ramp['levels'], ramp['stop']
  for doubt in ramp.get('doubts', []):
    logging.warning('doubt: %s', doubt['text'])
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
      ramp,
      {
          'flask_iterations': _ITERATIONS.value,
          'flask_duration': _DURATION.value,
          'flask_request_timeout': _REQUEST_TIMEOUT.value,
          'flask_clients': len(clients),
          'flask_port': _PORT.value,
          'flask_stop': _Stop(len(clients)),
          'flask_max_vus': _MAX_VUS.value,
          'flask_rampart': ramp['rampart'],
          'flask_stop_reason': stop['reason'],
          'flask_stop_detail': stop['detail'],
      },
  )


def Cleanup(benchmark_spec: Any) -> None:
  """Stops what runs, and removes all files from the VMs."""
  server, clients = _Vms(benchmark_spec)
  # Clients first: the server should not be seen to fail.
  try:
    background_tasks.RunThreaded(_Program.Remove, clients)
  finally:
    server.Remove()


# What the flags say.


def _ClientCount(benchmark_config: Any) -> int:
  """Returns how many client VMs there will be."""
  if _CLIENTS.value is not None:
    return _CLIENTS.value
  if FLAGS['num_vms'].present:
    return FLAGS.num_vms
  if benchmark_config is None:
    return 1
  return benchmark_config.vm_groups['client'].vm_count


def _Stop(clients: int) -> str:
  """Returns the rule that ends a ramp with so many clients."""
  return _STOP.value or ('confident' if clients == 1 else 'classic')


_UNITS = {'ns': 1e-9, 'us': 1e-6, 'µs': 1e-6, 'μs': 1e-6, 'ms': 1e-3}
_UNITS |= {'s': 1, 'm': 60, 'h': 3600}
_PART = rf'([0-9]+\.?[0-9]*|\.[0-9]+)({"|".join(_UNITS)})'


def _Duration(value: str) -> str:
  """Returns a duration as the client reads it: a bare number has seconds."""
  return f'{value}s' if re.fullmatch(r'[0-9]+(\.[0-9]+)?', value) else value


def _Seconds(flag: str, value: str) -> float:
  """Returns a duration in seconds; reads it as the client will."""
  duration = _Duration(value)
  if re.fullmatch(rf'\+?({_PART})+', duration):
    parts = re.findall(_PART, duration)
    seconds = round(sum(float(n) * _UNITS[unit] for n, unit in parts), 9)
    if 0.001 <= seconds <= 24 * 3600:
      return seconds
  raise errors.Setup.InvalidFlagConfigurationError(
      f'--{flag}={value}: want seconds, or a duration with a unit, from 1ms to '
      '24h, such as 30s, 1m30s or 500ms'
  )


def _BinaryPath(program: str, arch: str) -> str:
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


def _CheckBinary(path: str, arch: str) -> None:
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
    sudo: What comes before commands that start it: root's where it must be.
  """

  vm: Any
  kind: str
  name: str
  sudo: str = ''

  @property
  def folder(self) -> str:
    return posixpath.join(vm_util.VM_TMP_DIR, f'flaskbench-{self.name}')

  def Shell(self, command: str, **kwargs) -> tuple[str, str]:
    """Runs a command in the folder and returns standard output and error."""
    return self.vm.RemoteCommand(f'cd {self.folder} && {command}', **kwargs)

  def Install(self) -> None:
    """Puts the binary on the VM, instead of whatever an earlier run left."""
    arch = _ARCHITECTURES.get(self.vm.cpu_arch)
    if arch is None:
      raise errors.Benchmarks.UnsupportedConfigError(
          f'{self.vm.name} is a machine of type {self.vm.cpu_arch}: want one '
          f'of {", ".join(_ARCHITECTURES)}'
      )
    self.Remove()
    self.vm.RemoteCommand(f'mkdir -p {self.folder}')
    self.vm.PushFile(
        _BinaryPath(self.kind, arch),
        posixpath.join(self.folder, f'rampart-{self.kind}'),
    )
    self.Shell(f'chmod 755 rampart-{self.kind}')
    self.vm.Install('curl')
    stdout, _ = self.vm.RemoteCommand('command -v curl', ignore_failure=True)
    if not stdout:
      raise errors.Benchmarks.PrepareException(
          f'{self.vm.name} has no curl: install it, or let PerfKitBenchmarker '
          '(--install_packages)'
      )
    if self.kind == 'client':
      # The first of these commands installs Python, which is no part of a ramp.
      self.vm.RobustRemoteCommand('true')

  def Remove(self) -> None:
    """Stops all processes of this program, and removes all files."""
    # Without the file no further one starts.
    self.vm.RemoteCommand(f'sudo rm -f {self.folder}/rampart-{self.kind}')
    for signal in ('TERM', 'KILL'):
      pids = self._Pids()
      if not pids:
        break
      # It may have ended by itself meanwhile.
      self.vm.RemoteCommand(
          f'sudo kill -{signal} {" ".join(pids)}', ignore_failure=True
      )
      _Poll(lambda: not self._Pids(), _STOP_SECONDS)
    else:
      if self._Pids():
        raise errors.Resource.CleanupError(
            f'rampart-{self.kind} on {self.vm.name} does not stop'
        )
    self.vm.RemoteCommand(f'sudo rm -rf {self.folder}')

  def Serves(self) -> bool:
    """Whether the process that was started is there, and is this program."""
    stdout, _ = self.Shell('cat pid', ignore_failure=True)
    return stdout.strip() in self._Pids()

  def _Pids(self) -> list[str]:
    """Returns the processes whose program is in the folder, or was.

    It is root who asks, whatever port the server has: to others, processes of
    root do not tell their program.
    """
    path = f'$(cd {self.folder} 2>/dev/null && pwd -P || echo {self.folder})'
    find = (
        f'find /proc/[0-9]*/exe -maxdepth 0 -lname "{path}/*" 2>/dev/null'
        ' | cut -d/ -f3'
    )
    stdout, _ = self.vm.RemoteCommand(f'sudo sh -c {shlex.quote(find)}')
    return stdout.split()


def _Poll(condition: Callable[[], bool], seconds: float) -> bool:
  """Waits until a condition holds, and says whether it does in time."""
  deadline = time.monotonic() + seconds
  while not condition():
    if time.monotonic() > deadline:
      return False
    time.sleep(_POLL_SECONDS)
  return True


def _Vms(benchmark_spec: Any) -> tuple[_Program, list[_Program]]:
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


def _Ip(vm: Any) -> str:
  # Of static VMs an internal address need not be known.
  return vm.internal_ip or vm.ip_address


def _Address(ip: str) -> str:
  return f'[{ip}]:{_PORT.value}' if ':' in ip else f'{ip}:{_PORT.value}'


def _Fetch(address: str) -> str:
  """Returns a command that asks the server whether it is well."""
  return (
      'http_proxy= all_proxy= curl -fsS -m 5 -o /dev/null'
      f' http://{address}/healthz'
  )


def _LogOf(server: _Program) -> str:
  """Returns the last lines of the server's log, for messages."""
  stdout, stderr = server.Shell('tail -n 40 log', ignore_failure=True)
  return f'log of the server:\n{stdout or stderr}'


def _StartServer(server: _Program) -> None:
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
  # The process is a shell before it is the server: that it is there counts.
  says = _Await(
      server, f'({ready} && echo ready || test -d /proc/$(cat pid) || echo end)'
  )
  if says:
    raise errors.Benchmarks.PrepareException(
        f'the server on {server.vm.name} does not serve: {says}\n'
        f'{_LogOf(server)}'
    )


def _AwaitAnswer(client: _Program, server: _Program) -> None:
  """Waits until the server answers a client."""
  address = _Address(_Ip(server.vm))
  says = _Await(client, f'{_Fetch(address)} && echo ready')
  if says:
    raise errors.Benchmarks.PrepareException(
        f'{client.vm.name} gets no answer from {address}: {says}; does a '
        f'firewall keep it from port {_PORT.value}?\n{_LogOf(server)}'
    )


def _Await(program: _Program, command: str) -> str:
  """Waits until a command says ready; returns what it said if it does not."""
  stdout = stderr = ''

  def Settled() -> bool:
    nonlocal stdout, stderr
    stdout, stderr = program.Shell(command, ignore_failure=True)
    return bool(stdout)

  _Poll(Settled, _READY_SECONDS)
  if 'ready' in stdout:
    return ''
  return 'it ended' if stdout else stderr.strip() or 'it does not answer'


# Ramps.


def _RunClient(
    client: _Program, server: _Program, test: str, levels: int, **settings: Any
) -> _Json:
  """Runs a client and returns its result; RunError has its own words.

  Args:
    client: The client.
    server: The server.
    test: Name of the experiment.
    levels: How many levels it may have at most.
    **settings: Variables of the experiment beyond those of all.
  """
  settings = {
      'SERVER': _Address(_Ip(server.vm)),
      'ITERATIONS': _ITERATIONS.value,
      'DURATION': _Duration(_DURATION.value),
      'REQUEST_TIMEOUT': _Duration(_REQUEST_TIMEOUT.value),
      'RESULTS': posixpath.join(client.folder, 'results'),
      'OUTPUT': 'json',
      **settings,
  }
  environment = ' '.join(
      f'{name}={shlex.quote(str(value))}' for name, value in settings.items()
  )
  window = _Seconds('flask_duration', _DURATION.value)
  timeout = _Seconds('flask_request_timeout', _REQUEST_TIMEOUT.value)
  try:
    # exec: what ends after the time is the client.
    stdout, _ = client.vm.RobustRemoteCommand(
        f'cd {client.folder} && exec env {environment}'
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
  return result


def _RampByClient(server: _Program, client: _Program) -> _Json:
  """Lets one client ramp and returns its result."""
  ramp = _RunClient(
      client,
      server,
      'TestRamp',
      _MAX_VUS.value.bit_length() + _HALVINGS,
      MAX_VUS=_MAX_VUS.value,
      STOP=_Stop(1),
  )
  for level in ramp['levels']:
    level['cpus'] = ramp['machine']['cpus']
  return ramp


def _RampByLevels(server: _Program, clients: list[_Program]) -> _Json:
  """Ramps with several clients, of which the first merges what they measured.

  The result is as that of one client. Its levels have those of the clients in
  'clients', each with its 'cpus' and 'clock'.
  """
  clients[0].Shell('rm -f ramp.json')
  measured = []
  vus = 1
  while vus:
    results, clocks = _MeasureLevel(server, clients, vus)
    measured.append((results, clocks))
    ramp = _Merge(server, clients[0], results)
    level = ramp['levels'][-1]
    logging.info(
        'Injecting with %d vus. rps=%.2f resp_time=%.3f res_failed=%d',
        vus,
        level['req_per_s'],
        level['latency']['p95_ns'] / 1e6,
        level['failed'],
    )
    vus = ramp.get('next_vus')
  for level, (results, clocks) in zip(ramp['levels'], measured):
    for part, result, clock in zip(level['clients'], results, clocks):
      part.update(cpus=result['machine']['cpus'], clock=clock)
    level['doubts'] += _DoubtsOf(clocks, level['window_ns'] / 1e9)
  return ramp


def _Merge(server: _Program, client: _Program, results: list[_Json]) -> _Json:
  """Lets a client add a level to the ramp, which it keeps, and judge it."""
  names = [f'level-{number}.json' for number in range(1, len(results) + 1)]
  for name, result in zip(names, results):
    vm_util.CreateRemoteFile(
        client.vm, json.dumps(result), posixpath.join(client.folder, name)
    )
  return _RunClient(
      client,
      server,
      'TestMerge',
      1,
      MERGE=','.join(names),
      RAMP='ramp.json',
      MAX_VUS=_MAX_VUS.value,
      STOP='classic',
  )


def _Split(vus: int, clients: int) -> list[int]:
  """Splits virtual users: as even as can be, and at least one for a client."""
  clients = min(vus, clients)
  return [vus // clients + (i < vus % clients) for i in range(clients)]


@dataclasses.dataclass
class _Clock:
  """By how many seconds a clock is ahead of this machine's: between these."""

  least: float
  most: float

  @property
  def offset(self) -> float:
    return (self.least + self.most) / 2

  @property
  def uncertainty(self) -> float:
    return (self.most - self.least) / 2


def _AskClock(client: _Program) -> _Clock:
  """Asks a client for the time."""
  asked = time.time()
  stdout, _ = client.vm.RemoteCommand('date +%s.%N')
  answered = time.time()
  return _Clock(float(stdout) - answered, float(stdout) - asked)


def _DoubtsOf(clocks: list[_Clock], window: float) -> list[_Json]:
  """Returns a doubt where clocks are apart, which they do not tell clients."""
  apart = max(c.least for c in clocks) - min(c.most for c in clocks)
  if apart <= _SKEW_SHARE * window:
    return []
  return [{
      'kind': 'clocks',
      'text': (
          f'the clocks of two clients are at least {apart:.3f} s apart, so '
          'their rates were not there at the same time: synchronize them'
      ),
  }]


def _MeasureLevel(
    server: _Program, clients: list[_Program], vus: int
) -> tuple[list[_Json], list[_Clock]]:
  """Measures one level with clients at once; returns results and clocks.

  Where there are more clients than virtual users, it is the first of them.
  RunError has the words of the clients that failed.
  """
  shares = _Split(vus, len(clients))
  clients = clients[: len(shares)]
  clocks = background_tasks.RunThreaded(_AskClock, clients, len(clients))
  # All get the same instant: clocks in a cloud agree better than ssh can tell.
  # It is ahead on the clock that is most ahead.
  lead = (
      _LEAD_SECONDS
      + 8 * max(clock.uncertainty for clock in clocks)
      + min(_CONNECT_SECONDS * max(shares), _CONNECT_SECONDS_MAX)
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
          STOP='classic',
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
  return results, clocks


# Samples.


def _Samples(ramp: _Json, metadata: _Json) -> list[sample.Sample]:
  """Returns the samples of the best level, as ever, then those of all."""
  levels = ramp['levels']

  def Metadata(level):
    latency = level['latency']
    doubts = level['doubts'] + ramp.get('doubts', [])
    result = {
        **metadata,
        'flask_vus': level['vus'],
        'flask_accepted': level['accepted'],
        'flask_p50_ms': latency['p50_ns'] / 1e6,
        'flask_p99_ms': latency['p99_ns'] / 1e6,
        'flask_doubts': ', '.join(sorted({d['kind'] for d in doubts})),
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

  def Bounds(name, of):
    return {
        f'flask_{name}_{end}': of[end]
        for end in ('lower', 'upper')
        if end in of
    }

  # It is the one of the capacity.
  best = [level for level in levels if level['accepted']][-1]
  samples = [sample.Sample('vus', best['vus'], 'vus', Metadata(best))]
  samples += Triple(best)
  capacity = ramp['capacity']
  samples.append(
      sample.Sample(
          'capacity',
          capacity['req_per_s'],
          'rps',
          {**Metadata(best), **Bounds('capacity', capacity)},
      )
  )
  if 'knee_vus' in ramp:
    knee = {
        end: ramp[f'knee_vus_{end}']
        for end in ('lower', 'upper')
        if f'knee_vus_{end}' in ramp
    }
    samples.append(
        sample.Sample(
            'knee',
            ramp['knee_vus'],
            'vus',
            {**Metadata(best), **Bounds('knee', knee)},
        )
    )
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
