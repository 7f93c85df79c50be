"""Looks for files in the folders that the user names."""

import os

from absl import flags

FLAGS = flags.FLAGS

flags.DEFINE_multi_string('data_search_paths', ['.'], 'Folders with data.')


class ResourceNotFound(ValueError):
  pass


def ResourcePath(name):
  for folder in FLAGS.data_search_paths:
    path = os.path.join(folder, name)
    if os.path.exists(path):
      return path
  raise ResourceNotFound(name)
