from worker.cli.health import is_meant


def test_a_worker_is_meant_by_its_name_or_by_its_host() -> None:
    assert is_meant("celery@host-1", "host-1")
    assert is_meant("celery@host-1", "celery@host-1")
    assert not is_meant("celery@host-10", "host-1")
    assert not is_meant("celery@host-1", "celery")
