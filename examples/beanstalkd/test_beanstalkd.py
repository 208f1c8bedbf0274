"""Without a log, a kill loses acknowledged jobs; without a kill, no job is lost."""

import shutil

import pytest

from splitbrain import read_options, run_sync

pytestmark = [
    pytest.mark.skipif(shutil.which("beanstalkd") is None, reason="apt-get install beanstalkd"),
    pytest.mark.cluster, pytest.mark.campaign,  # 10 s each
]
RUN = {
    "system": "beanstalkd_store:Beanstalkd", "client": "beanstalkd_store:BeanstalkdClient",
    "workload": "queue", "nodes": [1], "time_limit_s": 8.0,
}


def test_a_kill_loses_acknowledged_jobs_if_there_is_no_log(tmp_path):
    result = run_sync(read_options({
        **RUN, "nemesis": ["kill"], "system_options": {"log": 0}, "seed": 1,
        "workload_options": {"dequeues_percent": 10}, "store": str(tmp_path),
    }), report=False)
    assert result.error == ""
    assert {kind for verdict in result.results.verdicts for kind in verdict.kinds} == {"lost"}


@pytest.mark.splitbrain(**RUN, nemesis=("pause",))
def test_no_job_is_lost_while_the_server_is_paused(splitbrain_run):
    splitbrain_run()
