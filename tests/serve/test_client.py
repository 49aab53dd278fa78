"""What is kept of those who are at the page, and how much of it at most."""

import numpy as np
import pytest
from etils import epath

from vdd import files
from vdd.errors import UserError
from vdd.serve.client import Clients
from vdd.serve.clips import of_file
from vdd.serve.kept import Kept
from vdd.serve.limits import LIMITS


@pytest.fixture
def clients(tmp_path):
    return Clients(
        epath.Path(tmp_path), LIMITS._replace(files_bytes=100, read_bytes=1000, clients=3)
    )


def dropped(client, size: int):
    path = client.new_file(".gif")
    with files.writing(path) as file:
        file.write(bytes(size))
    clip = of_file(path, "a.gif", "")
    client.add(clip)
    return clip


def test_the_oldest_files_go_whoever_has_dropped_them(clients, tmp_path):
    (one, _), (other, _) = clients.new(), clients.new()
    first, second = dropped(one, 40), dropped(other, 40)
    clients.make_room()
    assert one.find(first.id) is first
    third = dropped(one, 40)
    clients.make_room()
    with pytest.raises(UserError, match="no longer there"):
        one.find(first.id)
    assert other.find(second.id) is second
    assert {path.name for path in tmp_path.iterdir()} == {second.path.name, third.path.name}


def test_what_was_read_is_kept_up_to_so_many_bytes_of_all(clients):
    (one, _), (other, _) = clients.new(), clients.new()
    mine, theirs = dropped(one, 1), dropped(other, 1)
    one.keep(mine.id, "run", "mine", 600)
    other.keep(theirs.id, "run", "theirs", 300)
    assert (one.kept(mine.id, "run"), other.kept(theirs.id, "run")) == ("mine", "theirs")
    assert one.kept(theirs.id, "run") is None
    one.kept(mine.id, "run")  # asked for last
    other.keep(theirs.id, "other run", "again", 300)
    assert one.kept(mine.id, "run") == "mine"
    assert other.kept(theirs.id, "run") is None
    one.forget(mine.id)
    assert one.kept(mine.id, "run") is None
    one.keep(mine.id, "run", "late", 1)  # read by then, and forgotten before
    assert one.kept(mine.id, "run") is None


def test_what_comes_after_its_sender_has_gone_is_not_kept(clients, tmp_path):
    client, _ = clients.new()
    for _ in range(3):
        clients.new()  # for the last of which it has to go
    with pytest.raises(UserError, match="load it again"):
        dropped(client, 1)
    assert not list(tmp_path.iterdir())


def test_things_are_kept_by_their_use():
    kept = Kept(10)
    for i in range(3):
        kept.put(i, np.full(1, i), 4)
    assert kept.get(0) is None
    assert kept.get(1) == 1
    kept.put(1, "new", 4)  # in its place, not beside it
    assert (kept.get(2), kept.get(1)) == (2, "new")
    kept.put("large", "x", 11)
    assert [kept.get(key) for key in (1, 2, "large")] == [None, None, None]
