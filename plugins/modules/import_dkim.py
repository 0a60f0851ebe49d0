#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; the code is in plugins/action/import_dkim.py and plugins/module_utils/dkim/adopt.py."""

DOCUMENTATION = r"""
module: import_dkim
short_description: Take over DKIM keys that another signer used
description:
  - Finds private keys, compares each with its published record, and puts them on the mail host it runs on, where they
    sign from then on with the selectors they have. Nothing that is published changes.
  - Either all that is found is right, or nothing is done. What is refused is a key that is not the published one, an
    RSA key of less than 2048 bits, and a selector that holds another key or was used up.
  - Keys that are not published, and those of domains that the inventory does not have, are left alone and told.
author: The Postseal maintainers
options:
  path:
    description:
      - A file with one private key, PEM or what C(rspamadm dkim_keygen) writes.
      - Or C(opendkim.conf), a KeyTable (with the SigningTable beside it), or their folder.
      - Or a folder of files that are called C(DOMAIN.SELECTOR.key) as rspamd has them, C(DOMAIN/SELECTOR.private) as
        OpenDKIM has them, or C(DOMAIN/SELECTOR.ALGORITHM.key) as in a backup of C(/etc/postseal/dkim).
    type: str
    required: true
  place:
    description: Whether I(path) is on the controller or on the mail host.
    type: str
    choices: [controller, host]
    default: controller
  domain:
    description: Whose key it is, where the name of a single file does not say.
    type: str
    default: ""
  selector:
    description: The selector of the key, where the file's name does not say.
    type: str
    default: ""
  weak:
    description: Take over RSA keys of 1024 to 2047 bits, too. They retire as soon as a key of the inventory's signs.
    type: bool
    default: false
  held:
    description: The C(postseal_keys) facts of all mail hosts.
    type: list
    elements: dict
    default: []
attributes:
  check_mode: {support: full, description: Says which keys would be taken over and takes none.}
  diff_mode: {support: full, description: "Names the keys, never their content."}
"""

EXAMPLES = r"""
- name: Take over what OpenDKIM signs with on this host
  postseal.mail.import_dkim:
    path: /etc/opendkim.conf
    place: host
    held: "{{ groups['postseal_submission'] | map('extract', hostvars) | map(attribute='postseal_keys') }}"
"""

RETURN = r"""
taken:
  description: The keys that were found right, whether they had been taken over before or not.
  type: list
  elements: str
  returned: always
notes:
  description: What was left alone and why, and what will become of the others.
  type: list
  elements: str
  returned: always
"""
