"""A site's public and private files: listed behind closed doors, and put back as they were then.

Invariant: no file of a user is deleted; what is replaced or was added later is moved into quarantine, or stays.
"""

from press_deploy.engine.site_files.archives import index_archives
from press_deploy.engine.site_files.inventory import has_inventory, take_inventory
from press_deploy.engine.site_files.places import require_real_roots
from press_deploy.engine.site_files.putting_back import observe_put_back, put_back

__all__ = [
	"has_inventory",
	"index_archives",
	"observe_put_back",
	"put_back",
	"require_real_roots",
	"take_inventory",
]
