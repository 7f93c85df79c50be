"""Tests flaskbench_benchmark with real programs on VMs that are this machine.

test.sh runs it with the small stand-in for PerfKitBenchmarker that lies beside
it, or with a real one. RAMPART is where rampart is, if not around this file.
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
from unittest import mock

from absl import flags
from absl.testing import flagsaver
from perfkitbenchmarker import data
from perfkitbenchmarker import errors
from perfkitbenchmarker import flags as pkb_flags  # pylint: disable=unused-import
from perfkitbenchmarker import vm_util
from perfkitbenchmarker.linux_benchmarks import flaskbench_benchmark

FLAGS = flags.FLAGS
FLAGS.mark_as_parsed()

RAMPART = pathlib.Path(
    os.environ.get('RAMPART') or pathlib.Path(__file__).resolve().parents[2]
)
BINARIES = RAMPART / (os.environ.get('BIN') or 'bin') / 'pkb'
GOLDEN = RAMPART / 'testdata' / 'pkb'


def setUpModule():
  if not all(
      (BINARIES / f'rampart-{program}-{arch}').exists()
      for program in ('server', 'client')
      for arch in ('amd64', 'arm64')
  ):
    subprocess.run(['make', '-C', RAMPART, 'pkb-binaries'], check=True)


class LocalVm:
  """A VM that is this machine, as PerfKitBenchmarker offers one.

  Like the VMs of users, it is equal to another of the same address, and so it
  cannot be the key of a dict.

  Attributes:
    path: Where its shell looks for programs.
    user: Who the commands are run by; None: whoever runs the test.
    installed: Packages that were asked for.
  """

  __hash__ = None

  def __init__(self, name, case):
    self.name = name
    self.ip_address = self.internal_ip = '127.0.0.1'
    self.cpu_arch = os.uname().machine
    self.commands = []
    self.ports = []
    self.installed = []
    self.user = None
    self.path = os.environ['PATH']
    if not shutil.which('sudo'):
      self.path += ':' + case.Program('sudo', 'exec "$@"')
    self._case = case

  def __eq__(self, other):
    return self.ip_address == other.ip_address

  def RemoteCommand(self, command, ignore_failure=False, **kwargs):
    self._case.assertEqual({}, kwargs)
    return self._Run(command, 20, ignore_failure)

  def Install(self, package):
    if package not in self.installed:
      self.installed.append(package)

  def RobustRemoteCommand(self, command, timeout=None, ignore_failure=False):
    self.Install('python')
    # The real one makes it an argument of a script that wants a whole number.
    self._case.assertIsInstance(timeout, (int, type(None)))
    return self._Run(command, 60, ignore_failure)

  def _Run(self, command, timeout, ignore_failure):
    self._case.assertNotIn(';', command)
    self.commands.append(command)
    # Whatever stays behind with one of these pipes makes it wait, as ssh would.
    # There is no other environment than that of the machine either.
    done = subprocess.run(
        ['bash', '-c', command],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd='/',
        env={'PATH': self.path},
        check=False,
        user=self.user,
        group=self.user,
        extra_groups=None if self.user is None else [],
    )
    if done.returncode and not ignore_failure:
      raise errors.VirtualMachine.RemoteCommandError(
          f'Got non-zero return code ({done.returncode}) executing {command}\n'
          f'STDOUT: {done.stdout}STDERR: {done.stderr}'
      )
    return done.stdout, done.stderr

  def PushFile(self, source_path, remote_path=''):
    shutil.copyfile(source_path, remote_path)
    if self.user is not None:
      os.chown(remote_path, self.user, self.user)

  def AllowPort(self, start_port, end_port=None, source_range=None):
    self.ports.append((start_port, end_port, source_range))


def FreePort(ports=(0,)):
  """Returns one of the ports that nobody has; 0: any."""
  for port in ports:
    with socket.socket() as s:
      try:
        s.bind(('127.0.0.1', port))
      except OSError:
        continue
      return s.getsockname()[1]
  raise unittest.SkipTest(f'no free port in {ports}')


def Sudo(case):
  """Returns a folder with a sudo that lets the test, which is root, do it."""

  class Handler(socketserver.StreamRequestHandler):

    def handle(self):
      cwd, args = json.loads(self.rfile.readline())
      done = subprocess.run(
          args, cwd=cwd, capture_output=True, text=True, check=False
      )
      answer = [done.returncode, done.stdout, done.stderr]
      self.wfile.write(json.dumps(answer).encode())

  path = tempfile.mkdtemp(dir=case.folder)
  os.chmod(path, 0o755)
  server = socketserver.ThreadingUnixStreamServer(f'{path}/socket', Handler)
  os.chmod(f'{path}/socket', 0o777)
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  case.addCleanup(server.server_close)
  case.addCleanup(thread.join)
  case.addCleanup(server.shutdown)
  program = pathlib.Path(path, 'sudo')
  program.write_text(f'''#!{sys.executable} -I
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as s:
  s.connect('{path}/socket')
  s.sendall(json.dumps([os.getcwd(), sys.argv[1:]]).encode() + b'\\n')
  code, out, err = json.load(s.makefile())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
''')
  program.chmod(0o755)
  return path


def Processes(folder):
  """Returns the pids of all processes whose program is below a folder."""
  pids = []
  for entry in os.listdir('/proc'):
    try:
      if entry.isdigit() and os.readlink(f'/proc/{entry}/exe').startswith(
          f'{folder}/'
      ):
        pids.append(int(entry))
    except OSError:
      pass
  return pids


class FlagsTestCase(unittest.TestCase):
  """Restores flags after each test."""

  def setUp(self):
    super().setUp()
    saved = flagsaver.save_flag_values()
    self.addCleanup(flagsaver.restore_flag_values, saved)

  def Set(self, **values):
    """Sets flags as a command line would: they are present then."""
    for name, value in values.items():
      FLAGS[name].parse(value)


class ConfigTest(FlagsTestCase):

  def Groups(self, user_config=None):
    return flaskbench_benchmark.GetConfig(user_config or {})['vm_groups']

  def testNameAndFlagsAreThoseThatUsersHave(self):
    self.assertEqual('flask_benchmark', flaskbench_benchmark.BENCHMARK_NAME)
    self.assertEqual(60000, FLAGS.flask_iterations)
    self.assertEqual('30s', FLAGS.flask_duration)
    self.assertEqual(80, FLAGS.flask_port)

  def testGroups(self):
    groups = self.Groups()
    self.assertEqual({'server', 'client'}, set(groups))
    for group in groups.values():
      self.assertEqual(1, group['vm_count'])
      self.assertIn('GCP', group['vm_spec'])  # of default_dual_core
      self.assertNotIn('os_type', group)

  def testNumberOfClients(self):
    config = {'vm_groups': {'client': {'vm_count': 5}}}
    self.assertEqual(5, self.Groups(config)['client']['vm_count'])
    self.Set(num_vms=2)
    self.assertEqual(2, self.Groups(config)['client']['vm_count'])
    self.Set(flask_clients=3)
    groups = self.Groups(config)
    self.assertEqual(3, groups['client']['vm_count'])
    self.assertEqual(1, groups['server']['vm_count'])


class PrerequisitesTest(FlagsTestCase):

  def setUp(self):
    super().setUp()
    self.Set(flask_binaries=str(BINARIES))

  def Check(self):
    flaskbench_benchmark.CheckPrerequisites(None)

  def Refused(self, *words, error=errors.Setup.InvalidFlagConfigurationError):
    with self.assertRaises(error) as raised:
      self.Check()
    for word in words:
      self.assertIn(word, str(raised.exception))

  def testDurationsAreReadAsTheClientDoes(self):
    for value, want in {
        '30s': 30 * 10**9,
        '1m30s': 90 * 10**9,
        '500ms': 5 * 10**8,
        '1.5s': 15 * 10**8,
        '.5s': 5 * 10**8,
        '1.s': 10**9,
        '+1s': 10**9,
        '1000µs': 10**6,
        '1000000ns': 10**6,
        '24h': 86400 * 10**9,
        '30': 30 * 10**9,
        '0.5': 5 * 10**8,
    }.items():
      with self.subTest(value):
        # The client would refuse what it cannot read.
        self.assertEqual(
            want / 1e9, flaskbench_benchmark._Seconds('flask_duration', value)
        )
        self.Set(flask_duration=value, flask_request_timeout=value)
        self.Check()

  def testWrongDurations(self):
    for value in (
        '',
        's',
        '30 s',
        '-30s',
        '0s',
        '0',
        '999us',
        '25h',
        '1d',
        '1s\n',
        '1,5s',
        '٣s',
        '.s',
        '1s; reboot',
    ):
      for flag in ('flask_duration', 'flask_request_timeout'):
        with self.subTest(flag=flag, value=value), flagsaver.flagsaver(
            **{flag: value}
        ):
          self.Refused(f'--{flag}={value}', 'such as 30s')

  def testWrongNumbers(self):
    for name, value in (
        ('flask_iterations', 'many'),
        ('flask_iterations', '-1'),
        ('flask_iterations', '1.5'),
        ('flask_clients', '0'),
        ('flask_port', '0'),
        ('flask_port', '65536'),
        ('flask_max_vus', '0'),
        ('flask_stop', 'never'),
        ('flask_arch', 'mips'),
    ):
      with self.subTest(name=name, value=value):
        with self.assertRaises(flags.IllegalFlagValueError):
          self.Set(**{name: value})

  def testNumVms(self):
    self.Set(num_vms=2)
    self.Check()
    self.Set(flask_clients=2)
    self.Check()
    self.Set(flask_clients=3)
    self.Refused('--flask_clients=3', '--num_vms=2')
    self.Set(num_vms=0)
    self.Refused('--num_vms=0')

  def testSeveralClientsHaveTheClassicRule(self):
    config = types.SimpleNamespace(
        vm_groups={'client': types.SimpleNamespace(vm_count=3)}
    )
    flaskbench_benchmark.CheckPrerequisites(config)
    self.Set(flask_stop='confident')
    self.Check()
    words = ('--flask_stop=confident with 3 client VMs', '--flask_stop=classic')
    with self.assertRaises(
        errors.Setup.InvalidFlagConfigurationError
    ) as raised:
      flaskbench_benchmark.CheckPrerequisites(config)
    for word in words:
      self.assertIn(word, str(raised.exception))
    self.Set(flask_clients=2)
    self.Refused('--flask_stop=confident with 2 client VMs')
    self.Set(flask_stop='classic')
    self.Check()

  def testBinaries(self):
    error = errors.Setup.MissingExecutableError
    with tempfile.TemporaryDirectory() as folder:
      self.Set(flask_binaries=folder)
      self.Refused('rampart-server-amd64', 'make pkb-binaries', error=error)
      for program in ('server', 'client'):
        shutil.copy(BINARIES / f'rampart-{program}-arm64', folder)
      self.Refused('rampart-server-amd64', '--flask_arch', error=error)
      self.Set(flask_arch='arm64')
      self.Check()
      wrong = pathlib.Path(folder, 'rampart-client-arm64')
      shutil.copy(BINARIES / 'rampart-client-amd64', wrong)
      self.Refused(str(wrong), 'Linux on arm64', error=error)
      for content in (b'', b'#!/bin/sh\n' + b' ' * 20):
        wrong.write_bytes(content)
        self.Refused(str(wrong), 'Linux on arm64', error=error)

  def testBinariesOnTheDataSearchPaths(self):
    FLAGS.flask_binaries = None
    with self.assertRaises(data.ResourceNotFound):
      data.ResourcePath('rampart-server-amd64')
    self.Refused(
        'rampart-server-amd64 is not on the data search paths',
        error=errors.Setup.MissingExecutableError,
    )
    self.Set(data_search_paths=[str(BINARIES)])
    self.Check()


class RunTest(FlagsTestCase):
  """Prepares, runs and cleans up for real."""

  def setUp(self):
    super().setUp()
    self.folder = tempfile.mkdtemp(prefix='pkb-test-')
    self.addCleanup(shutil.rmtree, self.folder)
    self.addCleanup(self.AssertNothingRuns)
    self.enterPatch(vm_util, 'VM_TMP_DIR', f'{self.folder}/tmp')
    self.enterPatch(flaskbench_benchmark, '_READY_SECONDS', 10)
    self.enterPatch(flaskbench_benchmark, '_LEAD_SECONDS', 1.5)
    self.Set(
        flask_binaries=str(BINARIES),
        flask_port=FreePort(),
        flask_iterations=1000,
        flask_duration='0.2',  # seconds, as PerfKitBenchmarker has them
        flask_max_vus=4,
    )

  def enterPatch(self, *args):
    patch = mock.patch.object(*args)
    patch.start()
    self.addCleanup(patch.stop)

  def Program(self, name, script):
    """Makes a program and returns its folder."""
    folder = tempfile.mkdtemp(dir=self.folder)
    os.chmod(folder, 0o755)
    path = pathlib.Path(folder, name)
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return folder

  def AssertNothingRuns(self):
    left = Processes(self.folder)
    for pid in left:
      os.kill(pid, signal.SIGKILL)
    self.assertEqual([], left, 'processes are left')

  def Spec(self, clients=1):
    """Returns a specification, which is cleaned up after the test."""
    spec = types.SimpleNamespace(
        vm_groups={
            'server': [LocalVm('pkb-0', self)],
            'client': [LocalVm(f'pkb-{i + 1}', self) for i in range(clients)],
        }
    )
    self.addCleanup(flaskbench_benchmark.Cleanup, spec)
    return spec

  def Prepared(self, clients=1):
    spec = self.Spec(clients)
    flaskbench_benchmark.CheckPrerequisites(None)
    flaskbench_benchmark.Prepare(spec)
    return spec

  def CheckSamples(self, samples, clients):
    """Checks what holds for samples of any ramp."""
    best = samples[:4]
    self.assertEqual(
        [
            ('vus', 'vus'),
            ('rps', 'rps'),
            ('resp_time', 'ms'),
            ('req_failed', 'requests'),
        ],
        [(s.metric, s.unit) for s in best],
    )
    levels = [s for s in samples if s.metric == 'level_rps']
    self.assertEqual(
        [1, 2, 4][: len(levels)], [s.metadata['flask_vus'] for s in levels]
    )
    accepted = [s for s in levels if s.metadata['flask_accepted']]
    self.assertEqual(accepted[-1].value, best[1].value)
    capacity = samples[4]
    self.assertEqual(('capacity', 'rps'), (capacity.metric, capacity.unit))
    rule = 'confident' if clients == 1 else 'classic'
    self.assertEqual({rule}, {s.metadata['flask_stop'] for s in samples})
    if rule == 'classic':
      self.assertEqual(max(s.value for s in accepted), best[1].value)
      self.assertEqual(best[1].value, capacity.value)
      self.assertNotIn('flask_capacity_lower', capacity.metadata)
    else:
      lower = capacity.metadata['flask_capacity_lower']
      self.assertLess(lower, capacity.value)
      self.assertLess(
          capacity.value, capacity.metadata['flask_capacity_upper']
      )
    self.assertEqual(accepted[-1].metadata['flask_vus'], best[0].value)
    self.assertGreater(best[1].value, 0)
    self.assertGreater(best[2].value, 0)
    self.assertEqual(0, best[3].value)
    for s in samples:
      self.assertTrue(all(k.startswith('flask_') for k in s.metadata), s)
      self.assertEqual(clients, s.metadata['flask_clients'])
      self.assertEqual(1000, s.metadata['flask_iterations'])
      self.assertEqual('0.2', s.metadata['flask_duration'])
      self.assertIn(s.metadata['flask_stop_reason'], ('knee', 'max-vus'))
      self.assertIsInstance(s.metadata['flask_doubts'], str)
      self.assertGreater(s.metadata['flask_p50_ms'], 0)
      self.assertGreaterEqual(
          s.metadata['flask_p99_ms'], s.metadata['flask_p50_ms']
      )
      self.assertGreater(s.metadata['flask_server_cpu_us_per_request'], 0)
      json.dumps(s.metadata)  # as publishers do
    shares = [s for s in samples if s.metric == 'client_cpu_share']
    self.assertEqual(
        [
            (vus, client + 1)
            for vus in [1, 2, 4][: len(levels)]
            for client in range(min(vus, clients))
        ],
        [
            (s.metadata['flask_vus'], s.metadata['flask_client'])
            for s in shares
        ],
    )
    for s in shares:
      self.assertGreater(s.value, 0)
      self.assertLess(s.value, 101)

  def testOneClient(self):
    spec = self.Prepared()
    server, client = spec.vm_groups['server'][0], spec.vm_groups['client'][0]
    self.assertEqual(
        [(FLAGS.flask_port, None, ['127.0.0.1/32'])], server.ports
    )
    # The pid file has the master, which holds no stream of the one who started
    # it.
    pid = self.Pid('server')
    self.assertIn(pid, Processes(self.folder))
    home = f'{vm_util.VM_TMP_DIR}/flaskbench-server'
    for stream, want in enumerate(('/dev/null', f'{home}/log', f'{home}/log')):
      self.assertEqual(want, os.readlink(f'/proc/{pid}/fd/{stream}'))
    self.assertEqual(pid, os.getsid(pid))

    self.assertEqual(['curl'], server.installed)
    self.assertEqual(['curl', 'python'], client.installed)
    for _ in range(2):  # PerfKitBenchmarker may run it several times
      samples = flaskbench_benchmark.Run(spec)
      self.CheckSamples(samples, clients=1)
    self.assertEqual(['curl', 'python'], client.installed, 'not while timed')
    self.CheckVersion(samples[0].metadata['flask_rampart'])
    ramp = client.commands[-1]
    self.assertIn("-test.run '^TestRamp$'", ramp)
    self.assertIn('STOP=confident', ramp)

    flaskbench_benchmark.Cleanup(spec)
    self.AssertNothingRuns()
    self.assertEqual([], os.listdir(vm_util.VM_TMP_DIR))
    with socket.socket() as s:
      self.assertNotEqual(0, s.connect_ex(('127.0.0.1', FLAGS.flask_port)))
    flaskbench_benchmark.Cleanup(spec)  # once more does no harm

  def CheckVersion(self, version):
    """Checks that the client knows its commit, where git does."""
    git = subprocess.run(
        ['git', '-C', RAMPART, 'rev-parse', 'HEAD'],
        capture_output=True,
        text=True,
        check=False,
    ) if shutil.which('git') else None
    if git and git.returncode == 0:
      self.assertIn(git.stdout.strip(), version)

  def testClassicRuleOfOneClient(self):
    self.Set(flask_stop='classic')
    spec = self.Prepared()
    samples = flaskbench_benchmark.Run(spec)
    self.assertIn('STOP=classic', spec.vm_groups['client'][0].commands[-1])
    self.assertEqual('classic', samples[0].metadata['flask_stop'])

  def testThreeClients(self):
    spec = self.Prepared(clients=3)
    for _ in range(2):  # the second is a ramp of its own
      for vm in spec.vm_groups['client']:
        vm.commands.clear()
      samples = flaskbench_benchmark.Run(spec)
      self.CheckSamples(samples, clients=3)
    skews = [s for s in samples if s.metric == 'start_skew']
    self.assertEqual(
        len([s for s in samples if s.metric == 'client_cpu_share']), len(skews)
    )
    for s in skews:
      self.assertEqual('ms', s.unit)
      self.assertGreaterEqual(s.value, 0)
      # It is the same clock, and asking for it takes a while.
      offset = s.metadata['flask_clock_offset_ms']
      uncertainty = s.metadata['flask_clock_offset_uncertainty_ms']
      self.assertGreater(uncertainty, 0)
      self.assertLessEqual(abs(offset), uncertainty)
    # Each level has its users split, at one instant.
    starts = {}
    for vm in spec.vm_groups['client']:
      for command in vm.commands:
        if vus := re.search(r'\bVUS=(\d+)', command):
          self.assertIn("-test.run '^TestLevel$'", command)
          start = re.search(r'START_AT=([\d.]+)', command).group(1)
          starts.setdefault(start, []).append(int(vus.group(1)))
    shares = [starts[at] for at in sorted(starts, key=float)]
    self.assertEqual([[1], [1, 1], [2, 1, 1]][: len(shares)], shares)

  def testNoLevelAccepted(self):
    spec = self.Prepared(clients=2)
    ramp = json.loads((GOLDEN / 'merged.json').read_text())
    detail = '3 requests failed at 1 vus'
    ramp['stop'] = {'reason': 'failures', 'detail': detail}
    with mock.patch.object(
        flaskbench_benchmark, '_RampByLevels', return_value=ramp
    ):
      words = self.RunFails(spec)
    self.assertIn(f'no level was accepted: failures ({detail})', words)
    self.assertIn('listening on', words)

  def testFailuresOfOneClientEndTheRamp(self):
    spec = self.Prepared(clients=2)
    measure = flaskbench_benchmark._MeasureLevel

    def MeasureLevel(server, clients, vus):
      results, clocks = measure(server, clients, vus)
      if vus == 2:
        results[1]['levels'][0]['failures'] = {'reset': 3}
      return results, clocks

    with mock.patch.object(flaskbench_benchmark, '_MeasureLevel', MeasureLevel):
      samples = flaskbench_benchmark.Run(spec)
    self.assertEqual(1, samples[0].value)
    self.assertEqual('failures', samples[0].metadata['flask_stop_reason'])
    failed = [s for s in samples if s.metric == 'level_req_failed']
    self.assertEqual([0, 3], [s.value for s in failed])
    self.assertEqual('reset 3', failed[1].metadata['flask_failures'])

  def testLevelsThatCannotBeMerged(self):
    spec = self.Prepared(clients=2)
    measure = flaskbench_benchmark._MeasureLevel

    def MeasureLevel(server, clients, vus):
      results, clocks = measure(server, clients, vus)
      return [results[0]] * len(results), clocks

    with mock.patch.object(flaskbench_benchmark, '_MeasureLevel', MeasureLevel):
      words = self.RunFails(spec)
    self.assertIn('the level of client 2 is that of client 1', words)

  def Pid(self, name):
    path = pathlib.Path(vm_util.VM_TMP_DIR, f'flaskbench-{name}', 'pid')
    return int(path.read_text())

  def testServerFromAnEarlierRunIsReplaced(self):
    spec = self.Prepared()
    earlier = self.Pid('server')
    flaskbench_benchmark.Prepare(spec)
    self.assertNotEqual(earlier, self.Pid('server'))
    self.assertNotIn(earlier, Processes(self.folder))

  def testOnlyTheServerIsStopped(self):
    stranger = subprocess.Popen(['sleep', '60'])
    self.addCleanup(stranger.wait)
    self.addCleanup(stranger.kill)
    for content in (str(stranger.pid), '', '4194305', None):
      with self.subTest(content):
        spec = self.Prepared()
        home = pathlib.Path(vm_util.VM_TMP_DIR, 'flaskbench-server')
        if content is None:
          shutil.rmtree(home)
        else:
          (home / 'pid').write_text(content)
        server, _ = flaskbench_benchmark._Vms(spec)
        self.assertFalse(server.Serves())
        flaskbench_benchmark.Cleanup(spec)
        self.assertIsNone(stranger.poll())
        self.assertEqual([], Processes(self.folder))

  def testServerOfRootIsNotLeftBehind(self):
    if os.getuid() != 0:
      self.skipTest('only root can be root and another user')
    nobody = 65534
    os.chmod(self.folder, 0o777)
    sudo = Sudo(self)  # before what the specification cleans up with it
    spec = self.Spec()
    for vm in spec.vm_groups['server'] + spec.vm_groups['client']:
      vm.user, vm.path = nobody, f'{sudo}:{vm.path}'
    FLAGS.flask_port = FreePort(range(1000, 1024))
    flaskbench_benchmark.Prepare(spec)
    self.assertEqual(0, os.stat(f'/proc/{self.Pid("server")}').st_uid)
    FLAGS.flask_port = 8080  # as whoever forgets it when he cleans up
    flaskbench_benchmark.Cleanup(spec)
    self.assertEqual([], Processes(self.folder))
    self.assertEqual([], os.listdir(vm_util.VM_TMP_DIR))

  def testServerThatDiesFailsTheRun(self):
    self.Set(flask_duration='1s', flask_stop='classic')
    spec = self.Prepared()
    result = pathlib.Path(
        vm_util.VM_TMP_DIR, 'flaskbench-client-1/results/latest/result.json'
    )
    home = f'{vm_util.VM_TMP_DIR}/flaskbench-server'

    def Kill():
      self.assertTrue(flaskbench_benchmark._Poll(result.exists, 30))
      while pids := Processes(home):
        for pid in pids:
          os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=Kill)
    killer.start()
    words = self.RunFails(spec)
    killer.join()
    # Without being asked, it would have been the result of the first level.
    self.assertIn('the server on pkb-0 ended during the ramp', words)
    self.assertRegex(words, '(?s)log of the server:.*listening on')

  def testRunThatIsInterruptedLeavesNothing(self):
    self.Set(flask_duration='60s')
    for clients in (1, 2):
      with self.subTest(clients=clients):
        spec = self.Prepared(clients)
        failed = []
        run = threading.Thread(
            target=lambda: failed.append(self.RunFails(spec))
        )
        run.start()
        path = f'{vm_util.VM_TMP_DIR}/flaskbench-client-1'
        self.assertTrue(flaskbench_benchmark._Poll(lambda: Processes(path), 20))
        flaskbench_benchmark.Cleanup(spec)
        self.assertEqual([], Processes(self.folder))
        run.join()
        self.assertEqual(1, len(failed))

  def testCleanupIsAskedForFirst(self):
    spec = self.Spec()
    spec.vm_groups['server'][0].cpu_arch = 'riscv64'
    with self.assertRaises(errors.VmUtil.ThreadException):
      flaskbench_benchmark.Prepare(spec)
    self.assertTrue(spec.always_call_cleanup)

  def testNoCurl(self):
    spec = self.Spec()
    folder = tempfile.mkdtemp(dir=self.folder)
    server = spec.vm_groups['server'][0]
    for entry in server.path.split(':'):
      for program in os.listdir(entry) if os.path.isdir(entry) else []:
        if program != 'curl' and not os.path.lexists(f'{folder}/{program}'):
          os.symlink(f'{entry}/{program}', f'{folder}/{program}')
    server.path = folder
    begun = time.monotonic()
    with self.assertRaises(errors.VmUtil.ThreadException) as raised:
      flaskbench_benchmark.Prepare(spec)
    self.assertIn('pkb-0 has no curl: install it', str(raised.exception))
    self.assertLess(time.monotonic() - begun, 8)

  def testServerThatDoesNotAnswerItself(self):
    self.enterPatch(flaskbench_benchmark, '_READY_SECONDS', 1)
    spec = self.Spec()
    server = spec.vm_groups['server'][0]
    curl = self.Program('curl', 'echo curl: cause >&2 && exit 7')
    server.path = f'{curl}:{server.path}'
    with self.assertRaises(errors.Benchmarks.PrepareException) as raised:
      flaskbench_benchmark.Prepare(spec)
    self.assertIn('does not serve: curl: cause', str(raised.exception))

  def testServerDoesNotStart(self):
    # Somebody else has the port, and even answers.
    class Answers(http.server.BaseHTTPRequestHandler):

      def do_GET(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.end_headers()

      def log_message(self, *args):
        pass

    other = http.server.HTTPServer(('', FLAGS.flask_port), Answers)
    self.addCleanup(other.server_close)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    self.addCleanup(thread.join)
    self.addCleanup(other.shutdown)
    begun = time.monotonic()
    with self.assertRaises(errors.Benchmarks.PrepareException) as raised:
      self.Prepared()
    self.assertIn(
        'the server on pkb-0 does not serve: it ended', str(raised.exception)
    )
    self.assertIn('address already in use', str(raised.exception))
    self.assertLess(time.monotonic() - begun, 8)

  def testClientDoesNotReachTheServer(self):
    self.enterPatch(flaskbench_benchmark, '_READY_SECONDS', 1)
    spec = self.Spec()
    spec.vm_groups['server'][0].internal_ip = '127.0.0.1.invalid'
    with mock.patch.object(
        flaskbench_benchmark.ipaddress, 'ip_network', str
    ), self.assertRaises(errors.VmUtil.ThreadException) as raised:
      flaskbench_benchmark.Prepare(spec)
    self.assertIn('pkb-1 gets no answer from', str(raised.exception))
    self.assertIn('resolve', str(raised.exception))
    self.assertIn('listening on', str(raised.exception))

  def testUnknownArchitecture(self):
    spec = self.Spec()
    spec.vm_groups['server'][0].cpu_arch = 'riscv64'
    with self.assertRaises(errors.VmUtil.ThreadException) as raised:
      flaskbench_benchmark.Prepare(spec)
    self.assertIn('pkb-0 is a machine of type riscv64', str(raised.exception))

  def RunFails(self, spec):
    with self.assertRaises(errors.Benchmarks.RunError) as raised:
      flaskbench_benchmark.Run(spec)
    return str(raised.exception)

  def testClientFails(self):
    for clients in (1, 2):
      with self.subTest(clients=clients):
        spec = self.Prepared(clients)
        server, _ = flaskbench_benchmark._Vms(spec)
        os.kill(self.Pid('server'), signal.SIGTERM)
        self.assertTrue(
            flaskbench_benchmark._Poll(lambda: not server.Serves(), 10)
        )
        words = self.RunFails(spec)
        self.assertIn('client-1 on pkb-1 failed', words)
        self.assertIn('does not serve', words)  # what the client says
        self.assertRegex(words, '(?s)log of the server:.*listening on')

  def testTooLate(self):
    self.enterPatch(flaskbench_benchmark, '_LEAD_SECONDS', -10)
    words = self.RunFails(self.Prepared(clients=2))
    self.assertIn('client-1 on pkb-1 failed', words)
    self.assertIn('too late to start', words)

  def testClientWithoutAResult(self):
    spec = self.Prepared()
    client = spec.vm_groups['client'][0]
    for output in ('', 'PASS\n', '{}\n', '{"version": 2}\n', '[]\n'):
      with self.subTest(output), mock.patch.object(
          client, 'RobustRemoteCommand', return_value=(output, '')
      ):
        words = self.RunFails(spec)
        self.assertIn('client-1 on pkb-1 ended without a result', words)
        self.assertIn(output.strip(), words)


class SplitTest(unittest.TestCase):

  def testSplit(self):
    for vus, clients, want in (
        (1, 1, [1]),
        (1, 3, [1]),
        (2, 3, [1, 1]),
        (4, 3, [2, 1, 1]),
        (8, 3, [3, 3, 2]),
        (8, 2, [4, 4]),
        (16, 5, [4, 3, 3, 3, 3]),
    ):
      with self.subTest(vus=vus, clients=clients):
        self.assertEqual(want, flaskbench_benchmark._Split(vus, clients))


class ClocksTest(unittest.TestCase):

  def Ahead(self, clocks, vus=None):
    """Returns how far ahead clients with these clocks start."""
    starts = []

    def RunClient(client, server, test, levels, **settings):
      del client, server, test, levels
      starts.append(settings['START_AT'])
      return {}

    with mock.patch.object(
        flaskbench_benchmark, '_AskClock', clocks.__getitem__
    ), mock.patch.object(flaskbench_benchmark, '_RunClient', RunClient):
      before = time.time()
      flaskbench_benchmark._MeasureLevel(
          None, list(range(len(clocks))), vus or len(clocks)
      )
    self.assertEqual(1, len(set(starts)))
    return float(starts[0]) - before

  def testClocksThatMayAgree(self):
    clock = flaskbench_benchmark._Clock
    clocks = [clock(-0.1, 0.3), clock(0.2, 0.4)]
    ahead = self.Ahead(clocks)
    self.assertEqual([], flaskbench_benchmark._DoubtsOf(clocks, 1))
    # On the clock that is most ahead there are three seconds, and more than ssh
    # takes.
    self.assertGreater(ahead, 0.4 + 3 + 8 * 0.2)

  def testManyUsersDoNotWaitLongerThanServersDo(self):
    clocks = [flaskbench_benchmark._Clock(-0.05, 0.05)]
    for vus in (1, 1000, 4096, 1 << 20):
      ahead = self.Ahead(clocks, vus)
      self.assertGreater(ahead, 3)
      self.assertLess(ahead, 10, 'the server of rampart waits 10 s')

  def testClocksThatDisagree(self):
    clock = flaskbench_benchmark._Clock
    clocks = [clock(-0.1, 0.1), clock(1.9, 2.1), clock(0, 0.2)]
    (doubt,) = flaskbench_benchmark._DoubtsOf(clocks, 30)
    self.assertEqual('clocks', doubt['kind'])
    self.assertIn('at least 1.800 s apart', doubt['text'])
    self.assertEqual([], flaskbench_benchmark._DoubtsOf(clocks, 60))


if __name__ == '__main__':
  unittest.main()
