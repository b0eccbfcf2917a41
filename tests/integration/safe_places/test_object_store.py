"""An object store as safe place: what arrives is proven, and every fault has a message of its own."""

from __future__ import annotations

import pytest

from press_deploy.engine.ground.checks import FAILED, OK, WARNING
from press_deploy.engine.ground.errors import InputError, StepFailed
from tests.support import object_store as faults
from tests.support.object_store import BELOW, LARGE, FaultyStore, failure, key, open_store, stored_bytes

# --- without faults ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, 5 << 20, (5 << 20) + 1, 11 << 20])
def test_files_of_any_size_arrive_and_are_read_again(store: FaultyStore, spec, make_file, size):
	file = make_file(size=size)
	told: list[int] = []
	(evidence,) = open_store(spec).store([file], BELOW, told.append)
	assert evidence == {
		"name": file.name,
		"size": size,
		"sha256": file.sha256,
		"location": f"s3://{spec.bucket}/{key(spec, file)}",
		"sent": True,
	}
	assert stored_bytes(store, spec, file) == file.path.read_bytes()
	assert told == sorted(told) and told[-1] == size
	reads = [request for request in store.seen if request.is_read]
	assert len(reads) == -(-size // (5 << 20))
	assert store.uploads(spec.bucket) == []


def test_what_is_there_is_read_again_and_not_sent_again(store: FaultyStore, spec, make_file):
	files = [make_file("a"), make_file("b", LARGE)]
	open_store(spec).store(files, BELOW)
	store.seen.clear()
	again = open_store(spec).store(files, BELOW)
	assert [entry["sent"] for entry in again] == [False, False]
	assert not [request for request in store.seen if request.method in ("PUT", "POST")]
	assert [request for request in store.seen if request.is_read]


def test_another_content_in_its_place_is_replaced(store: FaultyStore, spec, make_file):
	file = make_file()
	store.client().put_object(Bucket=spec.bucket, Key=key(spec, file), Body=b"x" * file.size)
	assert open_store(spec).store([file], BELOW)[0]["sent"]
	assert stored_bytes(store, spec, file) == file.path.read_bytes()


def test_holds_asks_for_the_checksum_and_reads_nothing(store: FaultyStore, spec, make_file):
	files = [make_file("a"), make_file("b", LARGE)]
	place = open_store(spec)
	assert not place.holds(files, BELOW).done
	place.store(files, BELOW)
	store.seen.clear()
	assert place.holds(files, BELOW).done
	assert {request.method for request in store.seen} == {"HEAD"}
	assert not place.holds([], BELOW).done


@pytest.mark.parametrize("size", [1000, LARGE])
def test_holds_sees_another_content_of_equal_size(store: FaultyStore, spec, make_file, size):
	file = make_file(size=size)
	place = open_store(spec)
	place.store([file], BELOW)
	store.client().put_object(Bucket=spec.bucket, Key=key(spec, file), Body=b"x" * size)
	assert "another content" in place.holds([file], BELOW).found
	store.client().put_object(Bucket=spec.bucket, Key=key(spec, file), Body=b"x")
	assert "1 bytes instead of" in place.holds([file], BELOW).found


def test_holds_reads_where_the_store_tells_no_checksum(store: FaultyStore, spec, make_file):
	file = make_file()
	store.client().put_object(Bucket=spec.bucket, Key=key(spec, file), Body=file.path.read_bytes())
	assert open_store(spec).holds([file], BELOW).done
	assert any(request.is_read for request in store.seen)


def test_a_file_that_is_not_the_manifests_is_not_sent(store: FaultyStore, spec, make_file):
	file = make_file()
	file.path.write_bytes(b"y" * file.size)
	assert "not the one of the manifest" in failure(spec, [file]).why
	file.path.unlink()
	assert failure(spec, [file]).doing == "Reading"
	assert not [request for request in store.seen if request.is_object]


def test_encryption_is_asked_for_and_seen(store: FaultyStore, spec, make_file):
	files = [make_file("a"), make_file("b", LARGE)]
	open_store(spec.model_copy(update={"server_side_encryption": "AES256"})).store(files, BELOW)
	for file in files:
		head = store.client().head_object(Bucket=spec.bucket, Key=key(spec, file))
		assert head["ServerSideEncryption"] == "AES256"
	# The same objects are not encrypted with the key that this plan asks for.
	kms = spec.model_copy(update={"server_side_encryption": "aws:kms", "kms_key_id": "alias/backups"})
	assert "asks for encryption aws:kms" in failure(kms, files).why


def test_credentials_come_from_where_the_plan_says(store: FaultyStore, spec, monkeypatch):
	handed_in = {"access_key_id": "AKIASETTINGS", "secret_access_key": "secret"}
	assert open_store(spec, handed_in).check()[0].outcome == OK
	assert all("AKIAENVIRONMENT" in request.headers["authorization"] for request in store.seen)
	store.seen.clear()
	settings = spec.model_copy(update={"credentials": "settings"})
	assert open_store(settings, handed_in).check()[0].outcome == OK
	assert all("AKIASETTINGS" in request.headers["authorization"] for request in store.seen)
	with pytest.raises(InputError, match="no access key"):
		open_store(settings, {"access_key_id": "AKIASETTINGS", "secret_access_key": ""})
	monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
	monkeypatch.delenv("AWS_ACCESS_KEY_ID")
	assert "no credentials" in open_store(spec).check()[0].found
	with pytest.raises(StepFailed, match="no such profile"):
		open_store(spec.model_copy(update={"profile": "nobody"}))


# --- preflight ---------------------------------------------------------------------------------


def test_check_writes_reads_and_leaves_nothing(store: FaultyStore, spec):
	(check,) = open_store(spec).check()
	assert check.outcome == OK, check
	assert {request.method for request in store.seen} == {"PUT", "GET", "DELETE"}
	assert "Contents" not in store.client().list_objects_v2(Bucket=spec.bucket)


def test_check_says_what_is_wrong(store: FaultyStore, spec):
	(check,) = open_store(spec.model_copy(update={"bucket": "nobody-has-this"})).check()
	assert check.outcome == FAILED and "no such bucket" in check.found and check.remedy
	rule = store.break_with(faults.refuse(403, "AccessDenied"), lambda request: request.method == "DELETE")
	(check,) = open_store(spec).check()
	assert rule.fired and check.outcome == WARNING and "access is denied" in check.found
	rule.times = 0
	denied = store.break_with(faults.refuse(403, "AccessDenied"), lambda request: "uploads" in request.query)
	(check,) = open_store(spec).check()
	assert denied.fired and check.outcome == FAILED and "ListBucketMultipartUploads" in check.remedy


def test_check_of_a_store_that_is_away(spec, store: FaultyStore):
	(check,) = open_store(spec.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})).check()
	assert check.outcome == FAILED and "can't be reached" in check.found
