"""Where benchmarks put their files on a VM, and how."""

import tempfile

VM_TMP_DIR = '/tmp/pkb'


def CreateRemoteFile(vm, file_contents, file_path):
  with tempfile.NamedTemporaryFile('w') as f:
    f.write(file_contents)
    f.flush()
    vm.PushFile(f.name, file_path)
