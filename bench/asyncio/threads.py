"""Calls in a pool of threads."""

from concurrent.futures import ThreadPoolExecutor

from pool_calls import WORKERS, measure_pool

measure_pool(ThreadPoolExecutor(WORKERS))
