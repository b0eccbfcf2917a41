"""Samples: what could not be measured is not 0."""

import pytest

from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.verdict.metrics import list_gauges
from press_deploy.engine.watching.probes import Probe
from press_deploy.engine.watching.sampling import Sampler, read_samples

from .support import SITE

# As the version before the table of metrics wrote it.
EARLIER = "time,probes,bad_probes,latency_ms,cpu_percent,memory_percent,database_connections,log_errors\n"


class FakeDatabase:
	def __init__(self, answer):
		self.answer = answer

	def connections(self):
		if isinstance(self.answer, Exception):
			raise self.answer
		return self.answer


def probe(kind="good", latency=10.0):
	return Probe(1.0, SITE, 200, kind, latency)


def open_sampler(file, databases=()):
	return Sampler(file, list(databases), list_gauges())


def test_a_sample_survives_its_file(tmp_path):
	sampler = open_sampler(tmp_path / "samples.csv", [FakeDatabase(7)])
	taken = [sampler.sample([probe(), probe("5xx", 900.0), probe(latency=20.0)], 2), sampler.sample([], 0)]
	read = read_samples(tmp_path / "samples.csv")
	assert [sample.figures for sample in read] == [sample.figures for sample in taken]
	assert [sample.figures["latency_ms"] for sample in read] == [15.0, None]
	first, figures = read[0], read[0].figures
	assert (first.probes, first.bad_probes, figures["log_errors"], figures["database_connections"]) == (
		3,
		1,
		2,
		7,
	)
	assert [round(sample.time, 3) for sample in taken] == [sample.time for sample in read]
	assert 0 <= figures["cpu_percent"] <= 100 and 0 < figures["memory_percent"] <= 100


@pytest.mark.parametrize(
	"databases,expected",
	[
		([], None),
		([FakeDatabase(None)], None),
		([FakeDatabase(DatabaseUnavailable())], None),
		([FakeDatabase(DatabaseUnavailable()), FakeDatabase(3)], 3),
		([FakeDatabase(0)], 0),
	],
)
def test_connections_come_from_the_first_database_that_answers(tmp_path, databases, expected):
	open_sampler(tmp_path / "samples.csv", databases).sample([], 0)
	(sample,) = read_samples(tmp_path / "samples.csv")
	assert sample.figures["database_connections"] == expected and sample.figures["latency_ms"] is None


def test_errors_that_could_not_be_counted_are_not_none_at_all(tmp_path):
	sampler = open_sampler(tmp_path / "samples.csv")
	taken = [sampler.sample([], None), sampler.sample([], 0)]
	for samples in (taken, read_samples(tmp_path / "samples.csv")):
		assert [sample.figures["log_errors"] for sample in samples] == [None, 0]


@pytest.mark.parametrize(
	"torn",
	["12.0,1,0", "x,y\n", "1.0,1,0,,,,,0,1.0,1,0,,,,,0\n", "\udcff\n", "1.0,,,,,,,\n", "1.0,1.5,0,,,,,0\n"],
)
def test_a_torn_line_is_passed_over(tmp_path, torn):
	file = tmp_path / "samples.csv"
	open_sampler(file).sample([], 0)
	with file.open("a", errors="surrogateescape") as output:
		output.write(torn)
	assert len(read_samples(file)) == 1


def test_no_file_is_no_sample(tmp_path):
	assert read_samples(tmp_path / "none.csv") == []


def test_samples_of_earlier_versions_are_read(tmp_path):
	file = tmp_path / "samples.csv"
	file.write_text(f"{EARLIER}1.000,10,1,15.25,3.5,41.0,7,0\n2.000,10,0,,,,,\n")
	first, second = read_samples(file)
	assert (first.time, first.probes, first.bad_probes) == (1.0, 10, 1)
	assert first.figures == {
		"latency_ms": 15.25,
		"cpu_percent": 3.5,
		"memory_percent": 41.0,
		"database_connections": 7,
		"log_errors": 0,
	}
	assert set(second.figures.values()) == {None}


def test_a_file_that_an_earlier_version_began_is_gone_on_with(tmp_path):
	"""A run that is resumed with a version that samples more, or less, loses none of its samples."""
	file = tmp_path / "samples.csv"
	file.write_text("time,probes,bad_probes,of_old,cpu_percent\n1.000,10,1,5,3.5\n")
	open_sampler(file).sample([], 0)
	first, second = read_samples(file)
	assert first.figures == {"of_old": 5, "cpu_percent": 3.5}
	assert second.figures.keys() == first.figures.keys() and second.figures["of_old"] is None
