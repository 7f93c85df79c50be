"""What flaskbench_benchmark.py uses of PerfKitBenchmarker, and no more.

It lets the unit test run where there is no PerfKitBenchmarker. Names and meaning
are those of the real one, in which the same test passes as well.
"""
