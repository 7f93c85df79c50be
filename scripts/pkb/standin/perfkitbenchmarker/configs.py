"""Loads the configuration of a benchmark."""

import copy

import yaml

_CONSTANTS = """
default_dual_core: &default_dual_core
  GCP:
    machine_type: n4-standard-2
    zone: us-central1-b
"""


def LoadConfig(benchmark_config, user_config, benchmark_name):
  loaded = yaml.safe_load(_CONSTANTS + benchmark_config)[benchmark_name]
  return _Merge(copy.deepcopy(loaded), user_config)


def _Merge(config, override):
  for key, value in override.items():
    if isinstance(value, dict) and isinstance(config.get(key), dict):
      _Merge(config[key], value)
    else:
      config[key] = value
  return config
