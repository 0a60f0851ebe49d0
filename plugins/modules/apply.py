#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; its code is in plugins/action/apply.py and plugins/module_utils/host/transaction.py."""

DOCUMENTATION = r"""
module: apply
short_description: Change a service's configuration as one staged, checked and revertible step
description:
  - Renders every template on the controller, sends the result in one round trip, and on the host checks the files
    before they are installed, installs them together, has the service take them over, and tests that it works.
  - If that fails, the old files are put back and the old service is made to answer again before the task fails.
    A run that is cut off on the host is undone by the next one.
  - The service ends enabled and running.
  - Templates see the play's variables and C(model) (the whole inventory), C(this) (this host) and C(keys) (this host's
    public keys, where M(postseal.mail.keys) has been asked).
author: The Postseal maintainers
options:
  service:
    description: The service whose files these are. It decides checkers, units and how a change is taken over.
    type: str
    required: true
    choices:
      - postfix
      - dovecot
      - rspamd
      - redis-server
      - unbound
      - postfix-mta-sts-resolver
      - nginx
      - postseal-firewall
      - postseal-containment
      - postseal-warm-up
      - postseal-log
  withdraw:
    description:
      - Where the inventory does not ask for the service on this host, take away what an earlier run installed; by
        default the host is left alone. The service is stopped and disabled, and the files are removed. A service that
        has none of the files is somebody else's.
    type: bool
    default: false
  files:
    description: All files of the change. They must lie below C(/etc).
    type: list
    elements: dict
    required: true
    suboptions:
      src:
        description: Template, as M(ansible.builtin.template) finds it. Needed unless O(files[].state=absent).
        type: str
      dest:
        description: Where the file belongs.
        type: path
        required: true
      owner:
        description: Owning user.
        type: str
        default: root
      group:
        description: Owning group.
        type: str
        default: root
      mode:
        description: Permissions in octal. Without it V(0644), or V(0600) where O(files[].secret=true).
        type: str
      secret:
        description: Never show the content, not in a difference and not in a message.
        type: bool
        default: false
      map:
        description: Compile the file to an indexed table of this type beside it, see postmap(1).
        type: str
        choices: [lmdb, hash, btree]
      state:
        description: Whether the file should be there.
        type: str
        choices: [present, absent]
        default: present
  directories:
    description: Directories that must exist before the service starts. They may lie anywhere.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The directory.
        type: path
        required: true
      owner:
        description: Owning user.
        type: str
        default: root
      group:
        description: Owning group.
        type: str
        default: root
      mode:
        description: Permissions in octal. Without it V(0755).
        type: str
  watch:
    description:
      - Files that others write, such as a certificate. The service reloads when one of them has changed since the
        last change it took over.
    type: list
    elements: path
    default: []
  smoke:
    description:
      - How to see that the service works. Postfix needs at least one; Dovecot and rspamd are asked on their sockets
        below Postfix's queue directory if nothing is named.
      - rspamd is then shown a message of the first domain this host has keys of, which must be signed, and one of a
        stranger, which must not pass.
    type: list
    elements: dict
    default: []
    suboptions:
      protocol:
        description: What the service speaks there.
        type: str
        choices: [smtp, sasl, milter, redis, firewall, ready, log, dns, socketmap, https]
        default: smtp
      port:
        description: TCP port.
        type: int
      address:
        description: Address to connect to.
        type: str
        default: 127.0.0.1
      socket:
        description: Path of a Unix socket, instead of a port.
        type: path
      tls:
        description: How TLS begins. With any TLS, a message without a login must be refused.
        type: str
        choices: [none, starttls, wrapped]
        default: none
      name:
        description:
          - Server name to ask for in the TLS handshake. Of a resolver, a name of which it must have verified the
            signatures; of a table, a key that it must answer.
        type: str
      certificate:
        description: File whose first certificate must be the one that is served.
        type: path
      login:
        description:
          - A login for which O(smoke[].sender) must be accepted. Postfix's trial instance is told that it has
            authenticated, so no password is needed. So is a milter.
        type: str
      sender:
        description: Sender of a message that must be accepted. A milter must sign it, and refuse a stranger's.
        type: str
      recipient:
        description: Recipient of that message. Without it the sender. Nothing is ever sent.
        type: str
attributes:
  check_mode:
    support: full
    description: Stages and checks the files too. Where the service is not installed yet it says that it could not.
  diff_mode:
    support: full
    description: Of a secret file only the fact that it differs. A failed task has the difference in its message.
"""

EXAMPLES = r"""
- name: Install the Postfix configuration
  postseal.mail.apply:
    service: postfix
    files:
      - {src: etc/postfix/main.cf.j2, dest: /etc/postfix/main.cf}
      - {src: etc/postfix/master.cf.j2, dest: /etc/postfix/master.cf}
    watch: [/etc/letsencrypt/live/mail.example.com/fullchain.pem]
    smoke:
      - {port: 587, tls: starttls}
      - {port: 465, tls: wrapped}
"""

RETURN = r"""
files:
  description: For each file, whether it differed.
  type: dict
  returned: success, unless a note on the host said that nothing is left to do
directories:
  description: For each directory, whether it differed.
  type: dict
  returned: as files
action:
  description: How the service took the change over, or in check mode would.
  type: str
  choices: [none, reload, restart, start]
  returned: as files
phase:
  description: The last step that was begun.
  type: str
  choices: [lock, stage, validate, trial, install, change, smoke, done]
  returned: when the service was asked
rolled_back:
  description: Whether the change had begun and has been undone, and the old service answers as it did before.
  type: bool
  returned: when the service was asked
findings:
  description: What the checkers objected to.
  type: list
  elements: dict
  returned: when the service was asked
  contains:
    check: {description: Which checker., type: str}
    file: {description: Which file if known., type: str}
    line: {description: Which line if known or 0., type: int}
    text: {description: What it said., type: str}
notes:
  description: What else is worth knowing, such as an earlier change that was undone first.
  type: list
  elements: str
  returned: when the service was asked
seconds:
  description: Time spent on the host.
  type: float
  returned: as files
"""
