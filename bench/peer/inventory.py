# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""pyinfra's inventory: the mail hosts of the state file that script/bench wrote."""

import json
import os
from pathlib import Path

_state = json.loads(Path(os.environ["POSTSEAL_BENCH_STATE"]).read_text("utf-8"))

mail = [
    (
        host["address"],
        {
            "ssh_user": host["user"],
            "ssh_key": host["key"],
            "ssh_known_hosts_file": host["known_hosts"],
            "ssh_strict_host_key_checking": "yes",
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
            "_sudo": host["user"] != "root",
            "kept": host["kept"],
        },
    )
    for host in _state["hosts"]
]
