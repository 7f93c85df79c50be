"""Where benchmarks put their files on a VM."""

VM_TMP_DIR = '/tmp/pkb'
