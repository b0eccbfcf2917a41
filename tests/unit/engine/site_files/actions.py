"""What the tests do to the files of a site: take the inventory, disturb them, put them back."""

import shutil

from press_deploy.engine.site_files import observe_put_back, put_back, take_inventory

LOGO, CONTRACT, PICTURE = (
	"public/files/logo.png",
	"private/files/contract.pdf",
	"public/files/deep/er/picture.jpg",
)


def take(places):
	return take_inventory(places.site, places.archives, places.keep)


def restore(places, until=None):
	return put_back(places.site, places.archives, places.keep, places.quarantine, until)


def observe(places, until=None):
	return observe_put_back(places.site, places.archives, places.keep, until)


def disturb(places):
	"""One of everything that can happen to files."""
	places.write(LOGO, b"another logo")
	(places.site / CONTRACT).unlink()
	shutil.rmtree(places.site / "public/files/deep")
	places.write("public/files/deep", b"a file in a directory's place")
	places.write("public/files/later.txt", b"later")
	places.write("private/files/new/deep.txt", b"deep")
	(places.site / "public/files/empty.txt").unlink()
	places.write("public/files/empty.txt/inside", b"a directory in a file's place")
	return {
		LOGO: b"another logo",
		"public/files/deep": b"a file in a directory's place",
		"public/files/later.txt": b"later",
		"private/files/new/deep.txt": b"deep",
		"public/files/empty.txt/inside": b"a directory in a file's place",
	}
