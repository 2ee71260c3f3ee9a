"""A network of several hosts on this machine: namespaces joined by a switch, with links that fail.

A test calls enter() first, which starts it again in namespaces of its own, where it is root. What it
makes in there (hosts, devices, firewalls, processes) ends with it, however it ends.
"""

import collections
import fcntl
import ipaddress
import os
import random
import selectors
import struct
import subprocess
import sys
import threading
import time

_INSIDE = 'TASKFARM_TEST_IS_INSIDE'
_OWN_NAMESPACES = ['unshare', '--user', '--map-root-user', '--net', '--mount', '--pid', '--fork',
                   '--kill-child', '--mount-proc', '--']
_NAMES = '/run/netns'
# What a test needs of the kernel, beyond namespaces.
_TRY = f'''
set -e
mount -t tmpfs none /run
mkdir {_NAMES}
ip netns add a
ip link add try type veth peer name eth0 netns a
ip link add switch type bridge
nsenter --net={_NAMES}/a nft add table inet try
: <>/dev/net/tun
'''


def enter():
  """Goes into namespaces of our own, or ends the test with a line that says why it is skipped."""
  if os.environ.get(_INSIDE):
    _run('mount', '-t', 'tmpfs', 'none', '/run')
    os.mkdir(_NAMES)
    return
  tried = subprocess.run(_OWN_NAMESPACES + ['sh', '-c', _TRY], capture_output=True, check=False)
  if tried.returncode:
    why = tried.stderr.decode().strip().split('\n')[-1]
    print(f'skipped: needs root, with namespaces, veth, bridge, nftables and tun: {why}',
          file=sys.stderr)
    sys.exit(0)
  os.environ[_INSIDE] = '1'
  os.execvp(_OWN_NAMESPACES[0], _OWN_NAMESPACES + [sys.executable, *sys.argv])


def _run(*command, text=None):
  done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
  if done.returncode:
    raise AssertionError(f'{command}: {done.stderr}')


# Ways to part a host from the others; what its firewall drops.
CUTS = {
    'all packets dropped': ('input', 'output'),
    'nothing comes in': ('input',),
    'nothing goes out': ('output',),
    'link down': (),
}


class Network:
  """Hosts on one switch, with the addresses 10.77.0.1, 10.77.0.2, ... in the order they came."""

  def __init__(self):
    self._addresses = ipaddress.ip_network('10.77.0.0/24').hosts()
    _run('ip', 'link', 'add', 'switch', 'type', 'bridge')
    _run('ip', 'link', 'set', 'switch', 'up')
    self.hosts = []

  def add_host(self, wire=None):
    """A host on a plain cable, or on a `wire`."""
    host = Host(str(next(self._addresses)), wire)
    self.hosts.append(host)
    return host

  def remove(self):
    for host in self.hosts:
      host.remove()
    _run('ip', 'link', 'delete', 'switch')


class Host:
  """One host, whose processes see its network only; files they share with all others."""

  def __init__(self, address, wire=None):
    self.address = address
    self.name = 'host' + address.rpartition('.')[2]
    self._cut = None
    self._wire = wire
    _run('ip', 'netns', 'add', self.name)
    self._outside = f'to-{self.name}'
    if wire:
      wire.lay('host-end', self._outside)
      _run('ip', 'link', 'set', 'host-end', 'netns', self.name, 'name', 'eth0')
    else:
      _run('ip', 'link', 'add', self._outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns',
           self.name)
    _run('ip', 'link', 'set', self._outside, 'master', 'switch', 'up')
    for device in ('lo', 'eth0'):
      self._ip('link', 'set', device, 'up')
    self._ip('address', 'add', f'{address}/24', 'dev', 'eth0')

  def _ip(self, *arguments):
    _run('ip', '-n', self.name, *arguments)

  def command(self, *command):
    """The command that runs `command` on this host."""
    return ['nsenter', f'--net={_NAMES}/{self.name}', '--', *command]

  def cut(self, how):
    """Parts it from the others in one of CUTS; heal() undoes it."""
    self._cut = how
    if how == 'link down':
      self._ip('link', 'set', 'eth0', 'down')
      return
    chains = ''.join(
        f'chain {hook} {{ type filter hook {hook} priority 0; policy drop; '
        f'{"iifname" if hook == "input" else "oifname"} "lo" accept; }}\n' for hook in CUTS[how])
    _run(*self.command('nft', '-f', '-'), text=f'table inet cut {{\n{chains}}}\n')

  def heal(self):
    if self._cut == 'link down':
      self._ip('link', 'set', 'eth0', 'up')
    elif self._cut:
      _run(*self.command('nft', 'delete', 'table', 'inet', 'cut'))
    self._cut = None

  def remove(self):
    # By itself it would stay until the last process in there has ended.
    if self._wire:
      self._wire.end()
    else:
      _run('ip', 'link', 'delete', self._outside)
    _run('ip', 'netns', 'delete', self.name)


class Wire:
  """A cable from a host to the switch on which what the host sends comes late, or never.

  As netem does it, which is not in every kernel: two tap devices and a thread between them.
  """

  _MAX_FRAME = 1 << 16

  def __init__(self, delay_s, loss, seed):
    self._delay_s = delay_s
    self._loss = loss
    self._random = random.Random(seed)
    self._thread = threading.Thread(target=self._carry, daemon=True)
    self.carried = 0
    self.lost = 0

  @staticmethod
  def _tap(name):
    device = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    tap_without_header = 0x0002 | 0x1000  # IFF_TAP, IFF_NO_PI
    fcntl.ioctl(device, 0x400454ca, struct.pack('16sH22x', name.encode(), tap_without_header))
    return device

  def lay(self, host_end, switch_end):
    """Makes the two devices, and carries from now on."""
    self._host = self._tap(host_end)
    self._switch = self._tap(switch_end)
    self._ended, self._end = os.pipe()
    self._thread.start()

  def end(self):
    os.close(self._end)
    self._thread.join()

  def _carry(self):
    late = collections.deque()  # (when it is due, frame)
    with selectors.DefaultSelector() as ready:
      for source in (self._host, self._switch, self._ended):
        ready.register(source, selectors.EVENT_READ)
      while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        sources = {key.fd for key, _ in ready.select(wait)}
        if self._ended in sources:
          break
        if self._switch in sources:
          self._put(self._host, os.read(self._switch, self._MAX_FRAME))
        if self._host in sources:
          frame = os.read(self._host, self._MAX_FRAME)
          if self._random.random() < self._loss:
            self.lost += 1
          else:
            self.carried += 1
            late.append((time.monotonic() + self._delay_s, frame))
        while late and late[0][0] <= time.monotonic():
          self._put(self._switch, late.popleft()[1])
    for descriptor in (self._host, self._switch, self._ended):
      os.close(descriptor)

  @staticmethod
  def _put(device, frame):
    try:
      os.write(device, frame)
    except OSError:  # the other end is down, or clogged: a lost frame
      pass
