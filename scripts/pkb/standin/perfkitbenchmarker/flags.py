"""Flags that all benchmarks share."""

from absl import flags

flags.DEFINE_integer('num_vms', 1, 'Number of VMs.')
