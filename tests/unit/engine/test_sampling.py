"""Samples: what could not be measured is not 0."""

import pytest

from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.watching.probes import Probe
from press_deploy.engine.watching.sampling import Sampler, read_samples

from .support import SITE


class FakeDatabase:
	def __init__(self, answer):
		self.answer = answer

	def connections(self):
		if isinstance(self.answer, Exception):
			raise self.answer
		return self.answer


def probe(kind="good", latency=10.0):
	return Probe(1.0, SITE, 200, kind, latency)


def test_a_sample_survives_its_file(tmp_path):
	sampler = Sampler(tmp_path / "samples.csv", [FakeDatabase(7)])
	taken = [sampler.sample([probe(), probe("5xx", 900.0), probe(latency=20.0)], 2), sampler.sample([], 0)]
	read = read_samples(tmp_path / "samples.csv")
	assert [sample.latency_ms for sample in read] == [15.0, None]
	assert (read[0].probes, read[0].bad_probes, read[0].log_errors, read[0].database_connections) == (
		3,
		1,
		2,
		7,
	)
	assert [round(sample.time, 3) for sample in taken] == [sample.time for sample in read]
	assert 0 <= read[0].cpu_percent <= 100 and 0 < read[0].memory_percent <= 100


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
	Sampler(tmp_path / "samples.csv", databases).sample([], 0)
	(sample,) = read_samples(tmp_path / "samples.csv")
	assert sample.database_connections == expected and sample.latency_ms is None


def test_errors_that_could_not_be_counted_are_not_none_at_all(tmp_path):
	sampler = Sampler(tmp_path / "samples.csv", [])
	assert sampler.sample([], None).log_errors is None and sampler.sample([], 0).log_errors == 0
	assert [sample.log_errors for sample in read_samples(tmp_path / "samples.csv")] == [None, 0]


@pytest.mark.parametrize(
	"torn",
	["12.0,1,0", "x,y\n", "1.0,1,0,,,,,0,1.0,1,0,,,,,0\n", "\udcff\n", "1.0,,,,,,,\n", "1.0,1.5,0,,,,,0\n"],
)
def test_a_torn_line_is_passed_over(tmp_path, torn):
	file = tmp_path / "samples.csv"
	Sampler(file, []).sample([], 0)
	with file.open("a", errors="surrogateescape") as output:
		output.write(torn)
	assert len(read_samples(file)) == 1


def test_no_file_is_no_sample(tmp_path):
	assert read_samples(tmp_path / "none.csv") == []
