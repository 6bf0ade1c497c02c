"""Calls in a pool of processes."""

from concurrent.futures import ProcessPoolExecutor

from pool_calls import WORKERS, measure_pool

measure_pool(ProcessPoolExecutor(WORKERS))
