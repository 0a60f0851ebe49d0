# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""pyinfra's deploy: the same packages, files and services, written the way pyinfra's documentation writes them.

Files come finished from the controller, so pyinfra has less to do than site.yml, which renders and checks them.
"""

from pyinfra import host
from pyinfra.operations import apt, files, systemd

kept = host.data.kept

apt.packages(name="Packages", packages=kept["packages"])
for directory in kept["directories"]:
    files.directory(
        name=directory["path"],
        path=directory["path"],
        user=directory["owner"],
        group=directory["group"],
        mode=directory["mode"],
    )
for file in kept["files"]:
    files.put(
        name=file["path"],
        src=file["source"],
        dest=file["path"],
        user=file["owner"],
        group=file["group"],
        mode=file["mode"],
        add_deploy_dir=False,
    )
for key in kept["keys"]:
    # A private key stays where it was born; its presence, owner and mode are kept.
    files.file(name=key["path"], path=key["path"], user=key["owner"], group=key["group"], mode=key["mode"])
for unit in kept["units"]:
    systemd.service(name=unit, service=unit, running=True, enabled=True)
