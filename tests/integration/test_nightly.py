"""Some nights of an archive whose files are late, reprocessed or missing; the long run is ``tests/stress/nightly.py``."""

from stress import nightly


def test_after_every_night_the_store_is_what_the_files_are(tmp_path):
    lines = []
    nightly.run(tmp_path, items=5, nights=8, seed=3, say=lines.append)
    assert lines[-1].startswith("compact: values equal")
