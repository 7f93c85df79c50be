"""Tests flaskbench_benchmark: runs the real programs on VMs that are this machine.

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
import subprocess
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
BINARIES = RAMPART / 'bin' / 'pkb'
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
  """

  __hash__ = None

  def __init__(self, name, case):
    self.name = name
    self.ip_address = self.internal_ip = '127.0.0.1'
    self.cpu_arch = os.uname().machine
    self.commands = []
    self.ports = []
    self._case = case

  def __eq__(self, other):
    return self.ip_address == other.ip_address

  def RemoteCommand(self, command, ignore_failure=False, **kwargs):
    self._case.assertEqual({}, kwargs)
    return self._Run(command, 20, ignore_failure)

  def RobustRemoteCommand(self, command, timeout=None, ignore_failure=False):
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
        env={'PATH': os.environ['PATH']},
        check=False,
    )
    if done.returncode and not ignore_failure:
      raise errors.VirtualMachine.RemoteCommandError(
          f'Got non-zero return code ({done.returncode}) executing {command}\n'
          f'STDOUT: {done.stdout}STDERR: {done.stderr}'
      )
    return done.stdout, done.stderr

  def PushFile(self, source_path, remote_path=''):
    shutil.copyfile(source_path, remote_path)

  def AllowPort(self, start_port, end_port=None, source_range=None):
    self.ports.append((start_port, end_port, source_range))


def FreePort():
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    return s.getsockname()[1]


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
    }.items():
      with self.subTest(value):
        # The client would refuse what it cannot read.
        self.assertEqual(
            want, flaskbench_benchmark._Nanoseconds('flask_duration', value)
        )
        self.Set(flask_duration=value, flask_request_timeout=value)
        self.Check()

  def testWrongDurations(self):
    for value in (
        '',
        '30',
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
        flask_duration='200ms',
        flask_max_vus=4,
    )

  def enterPatch(self, *args):
    patch = mock.patch.object(*args)
    patch.start()
    self.addCleanup(patch.stop)

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
    self.assertEqual(max(s.value for s in accepted), best[1].value)
    self.assertEqual(accepted[-1].metadata['flask_vus'], best[0].value)
    self.assertGreater(best[1].value, 0)
    self.assertGreater(best[2].value, 0)
    self.assertEqual(0, best[3].value)
    for s in samples:
      self.assertTrue(all(k.startswith('flask_') for k in s.metadata), s)
      self.assertEqual(clients, s.metadata['flask_clients'])
      self.assertEqual(1000, s.metadata['flask_iterations'])
      self.assertEqual('200ms', s.metadata['flask_duration'])
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

    for _ in range(2):  # PerfKitBenchmarker may run it several times
      self.CheckSamples(flaskbench_benchmark.Run(spec), clients=1)
    ramp = client.commands[-1]
    self.assertIn("-test.run '^TestRamp$'", ramp)
    self.assertIn('STOP=classic', ramp)

    flaskbench_benchmark.Cleanup(spec)
    self.AssertNothingRuns()
    self.assertEqual([], os.listdir(vm_util.VM_TMP_DIR))
    with socket.socket() as s:
      self.assertNotEqual(0, s.connect_ex(('127.0.0.1', FLAGS.flask_port)))
    flaskbench_benchmark.Cleanup(spec)  # once more does no harm

  def testThreeClients(self):
    spec = self.Prepared(clients=3)
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
    level = {**Golden('merged.json'), 'vus': 1, 'failed': 3}
    with mock.patch.object(
        flaskbench_benchmark, '_MeasureLevel', return_value=(level, 'v0')
    ):
      words = self.RunFails(spec)
    self.assertIn(
        'no level was accepted: failures (3 requests failed at 1 vus)', words
    )
    self.assertIn('listening on', words)

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
    spec = self.Prepared()
    pid = self.Pid('server')
    stranger = subprocess.Popen(['sleep', '60'])
    self.addCleanup(stranger.wait)
    self.addCleanup(stranger.kill)
    path = pathlib.Path(vm_util.VM_TMP_DIR, 'flaskbench-server', 'pid')
    for content in (str(stranger.pid), '', '4194305'):
      path.write_text(content)
      server, _ = flaskbench_benchmark._Vms(spec)
      self.assertFalse(server._Running())
    path.write_text(str(stranger.pid))
    flaskbench_benchmark.Cleanup(spec)
    self.assertIsNone(stranger.poll())
    # It was this test that lost the server.
    os.kill(pid, signal.SIGTERM)
    self.assertTrue(
        flaskbench_benchmark._Poll(lambda: not Processes(self.folder), 10)
    )

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
    self.assertIn('the server on pkb-0 ended', str(raised.exception))
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
            flaskbench_benchmark._Poll(lambda: not server._Running(), 10)
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

  def testClientThatStaysIsStopped(self):
    spec = self.Prepared()
    _, (client,) = flaskbench_benchmark._Vms(spec)
    # As after an aborted run.
    client.Shell(
        f"SERVER=127.0.0.1:{FLAGS.flask_port} RESULTS=results DURATION=60s sh -c"
        " 'nohup ./rampart-client -test.run TestRamp </dev/null >log 2>&1"
        " & echo $! >pid'"
    )
    path = f'{vm_util.VM_TMP_DIR}/flaskbench-client-1'
    self.assertTrue(flaskbench_benchmark._Poll(lambda: Processes(path), 10))
    flaskbench_benchmark.Cleanup(spec)
    self.AssertNothingRuns()


class ClassicTest(unittest.TestCase):

  def testDecisions(self):
    """The cases of the client's own rule."""
    for name, before, (vus, rate, failed), max_vus, accepted, reason in (
        ('first level', None, (1, 70, 0), 4096, True, None),
        ('first level, hardly any', None, (1, 0.01, 0), 4096, True, None),
        ('first level, none', None, (1, 0, 0), 4096, False, 'knee'),
        ('first level, all failed', None, (1, 0, 10), 4096, False, 'failures'),
        ('first level, one failed', None, (1, 70, 1), 4096, False, 'failures'),
        ('exactly 5 %', 95, (2, 100, 0), 4096, True, None),
        ('just below 5 %', 95.0001, (2, 100, 0), 4096, False, 'knee'),
        ('5 % of the old', 100, (2, 105, 0), 4096, False, 'knee'),
        ('5.27 % of the old', 100, (2, 105.27, 0), 4096, True, None),
        ('doubled', 100, (8, 200, 0), 4096, True, None),
        ('flat', 100, (8, 100, 0), 4096, False, 'knee'),
        ('shrinking', 262.96, (8, 246.27, 0), 4096, False, 'knee'),
        ('down to nothing', 262.96, (8, 0, 0), 4096, False, 'knee'),
        ('grew, but failed', 100, (8, 200, 1), 4096, False, 'failures'),
        ('flat and failed', 100, (8, 100, 1), 4096, False, 'failures'),
        ('at the cap', 100, (8, 200, 0), 8, True, 'max-vus'),
        ('cap between levels', 100, (8, 200, 0), 15, True, 'max-vus'),
        ('next is the cap', 100, (8, 200, 0), 16, True, None),
        ('cap of one', None, (1, 200, 0), 1, True, 'max-vus'),
        ('flat at the cap', 100, (8, 100, 0), 8, False, 'knee'),
    ):
      with self.subTest(name):
        previous = {'vus': vus // 2, 'req_per_s': before} if before else None
        level = {
            'vus': vus,
            'req_per_s': rate,
            'failed': failed,
            'window_ns': 10**9,
        }
        got, stop = flaskbench_benchmark._Classic(previous, level, max_vus)
        self.assertEqual(accepted, got)
        self.assertEqual(reason, stop and stop['reason'])

  def testDetail(self):
    _, stop = flaskbench_benchmark._Classic(
        {'vus': 4, 'req_per_s': 262.96},
        {'vus': 8, 'req_per_s': 246.27, 'failed': 0},
        4096,
    )
    self.assertEqual(
        'from 4 to 8 vus: throughput -6.78 %, needed +5 %', stop['detail']
    )

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


def Golden(name):
  return json.loads((GOLDEN / name).read_text())['levels'][0]


class MergeTest(unittest.TestCase):
  """Results of real clients, and what the client itself makes of them."""

  maxDiff = None

  def setUp(self):
    super().setUp()
    self.levels = [Golden(f'level-{i}.json') for i in (1, 2, 3)]
    self.want = Golden('merged.json')

  def testAsTheClientMerges(self):
    merged = flaskbench_benchmark._MergeLevels(self.levels)
    for key in (
        'vus',
        'warmup_ns',
        'window_ns',
        'started_unix_ns',
        'requests',
        'completed',
        'failed',
        'failures',
        'doubts',
    ):
      with self.subTest(key):
        self.assertEqual(self.want[key], merged[key])
    for key in ('mean_ns', 'p50_ns', 'p95_ns', 'p99_ns', 'max_ns'):
      with self.subTest(key):
        self.assertEqual(self.want['latency'][key], merged['latency'][key])
    self.assertAlmostEqual(self.want['req_per_s'], merged['req_per_s'], 6)
    for key in ('server_cpu_ns_per_op', 'client_cpu_ns_per_op'):
      with self.subTest(key):
        self.assertAlmostEqual(self.want[key], merged[key], delta=2)
    for key in ('busy', 'delay_ns', 'cpu_cores'):
      with self.subTest(key):
        self.assertAlmostEqual(
            self.want['injector'][key], merged['injector'][key], 6
        )
    # They are no averages: at least one percentile shows it.
    self.assertNotEqual(
        [merged['latency'][p] for p in ('p50_ns', 'p95_ns', 'p99_ns')],
        [
            sum(level['latency'][p] for level in self.levels) / 3
            for p in ('p50_ns', 'p95_ns', 'p99_ns')
        ],
    )

  def testEachHistogramHasThePercentilesOfItsLevel(self):
    for level in self.levels + [self.want]:
      latency = level['latency']
      histogram = flaskbench_benchmark._Histogram.Decode(
          latency['histogram_us']
      )
      self.assertEqual(level['requests'], histogram.total)
      for percentile, key in (
          (50, 'p50_ns'),
          (95, 'p95_ns'),
          (99, 'p99_ns'),
          (100, 'max_ns'),
      ):
        self.assertEqual(latency[key], 1000 * histogram.Percentile(percentile))

  def testTheMergedHistogramIsTheSame(self):
    sum_ = flaskbench_benchmark._Histogram()
    for level in self.levels:
      sum_.Add(
          flaskbench_benchmark._Histogram.Decode(
              level['latency']['histogram_us']
          )
      )
    want = flaskbench_benchmark._Histogram.Decode(
        self.want['latency']['histogram_us']
    )
    self.assertEqual(want._counts, sum_._counts)

  def testOneLevelIsItself(self):
    level = self.levels[0]
    merged = flaskbench_benchmark._MergeLevels([level])
    for key in ('vus', 'requests', 'completed', 'failed', 'req_per_s'):
      self.assertEqual(level[key], merged[key])
    for key in ('p50_ns', 'p95_ns', 'p99_ns', 'max_ns'):
      self.assertEqual(level['latency'][key], merged['latency'][key])

  def testLevelsWithoutRequests(self):
    for level in self.levels:
      level['latency'].pop('histogram_us')
      level.update(requests=0, req_per_s=0)
    merged = flaskbench_benchmark._MergeLevels(self.levels)
    self.assertEqual(0, merged['requests'])
    self.assertEqual(0, merged['latency']['p95_ns'])
    self.assertNotIn('server_cpu_ns_per_op', merged)

  def testHistogramThatIsNone(self):
    level = self.levels[0]
    good = level['latency']['histogram_us']
    for bad in ('AAAA', '!', good[:-8], good[: len(good) // 2], good[8:]):
      with self.subTest(bad), self.assertRaisesRegex(
          ValueError, 'no histogram'
      ):
        flaskbench_benchmark._Histogram.Decode(bad)
    level['requests'] += 1
    with self.assertRaisesRegex(ValueError, 'client 1 has'):
      flaskbench_benchmark._MergeLevels(self.levels)

  def testClientsThatBeginApart(self):
    self.levels[1]['started_unix_ns'] += self.levels[1]['window_ns'] // 10
    merged = flaskbench_benchmark._MergeLevels(self.levels)
    self.assertIn('start-skew', [d['kind'] for d in merged['doubts']])


class ClocksTest(unittest.TestCase):

  def Measure(self, clocks, window_ns=10**9):
    """Measures a level with clients that have these clocks."""
    starts = []

    def RunClient(client, server, test, levels, **settings):
      del client, server, test, levels
      starts.append(settings['START_AT'])
      level = Golden('level-1.json')
      level.update(window_ns=window_ns, doubts=[])
      return {'levels': [level], 'rampart': 'v0'}

    with mock.patch.object(
        flaskbench_benchmark, '_AskClock', clocks.__getitem__
    ), mock.patch.object(flaskbench_benchmark, '_RunClient', RunClient):
      before = time.time()
      level, _ = flaskbench_benchmark._MeasureLevel(
          None, list(range(len(clocks))), len(clocks)
      )
    self.assertEqual(1, len(set(starts)))
    return float(starts[0]) - before, level

  def testClocksThatMayAgree(self):
    clock = flaskbench_benchmark._Clock
    ahead, level = self.Measure([clock(-0.1, 0.3), clock(0.2, 0.4)])
    self.assertEqual([], level['doubts'])
    # On the clock that is most ahead there are three seconds, and more than ssh
    # takes.
    self.assertGreater(ahead, 0.4 + 3 + 8 * 0.2)

  def testClocksThatDisagree(self):
    clock = flaskbench_benchmark._Clock
    clocks = [clock(-0.1, 0.1), clock(1.9, 2.1), clock(0, 0.2)]
    _, level = self.Measure(clocks, 30 * 10**9)
    self.assertEqual(['clocks'], [d['kind'] for d in level['doubts']])
    self.assertIn('at least 1.800 s apart', level['doubts'][0]['text'])
    _, level = self.Measure(clocks, 60 * 10**9)
    self.assertEqual([], level['doubts'])


if __name__ == '__main__':
  unittest.main()
