"""The worker: `python worker.py` runs WORKER_PROCESSES workers and the clock under one supervisor."""

import sys

from leadapp.workers import supervisor
from leadapp.workers.beat import run_clock
from leadapp.workers.process import run_worker

if __name__ == "__main__":
    sys.exit(supervisor.main(run_worker, run_clock))
