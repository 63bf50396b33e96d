import type { Attempt } from '../attempt.ts';

const through = 'agent';
const ownNetwork = 'the cell’s network is its own loopback and nothing else';
const open = 'the cell has the network of the host';
const leaves: Attempt['process'] = ['not tried', 'it would leave the machine; nothing keeps it from doing so'];

const reaches = (host: string, port: string): string => `timeout 5 bash -c ': < /dev/tcp/${host}/${port}'`;
const unix = (address: string): string =>
  `perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or exit 1; exit(connect($s, pack_sockaddr_un(${address})) ? 0 : 1)'`;

/** How the gateway answered, as a success where it took the caller for somebody: what it asks for is then only badly put. */
const isKnown = `case "$code" in 2*|400|422) exit 0;; *) echo "answered $code"; exit 1;; esac`;
const ask = `curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'content-type: application/json' -d '{}'`;
const otherUrl = `url=$(grep -o 'http://127[^"]*' "$OTHER_CONFIG" | head -1)`;

export const network: readonly Attempt[] = [
  {
    name: 'reach-temporal',
    tries: 'reach Temporal’s port',
    through,
    script: reaches('127.0.0.1', '$TEMPORAL_PORT'),
    process: ['succeeds', `${open}; Temporal’s own access control is what is left`],
    confined: ownNetwork,
  },
  {
    name: 'reach-metrics',
    tries: 'reach the metrics of the worker',
    through,
    script: reaches('127.0.0.1', '$METRICS_PORT'),
    process: ['succeeds', open],
    confined: ownNetwork,
  },
  {
    name: 'reach-server-of-another',
    tries: 'reach another cell’s server',
    through,
    script: reaches('127.0.0.1', '$OTHER_PORT'),
    process: ['succeeds', `${open}; the server asks for a password, which lies in a file of the same user`],
    confined: ownNetwork,
  },
  {
    name: 'reach-model',
    tries: 'reach the provider past the gateway',
    through,
    script: reaches('127.0.0.1', '$MODEL_PORT'),
    process: ['succeeds', `${open}; it takes the provider’s key besides`],
    confined: ownNetwork,
  },
  {
    name: 'reach-metadata',
    tries: 'reach the metadata address of a cloud',
    through,
    script: reaches('169.254.169.254', '80'),
    process: leaves,
    confined: 'there is no route',
  },
  {
    name: 'reach-internet',
    tries: 'reach the internet (an address that is kept for documentation)',
    through,
    script: `${reaches('203.0.113.1', '443')} || ip route get 203.0.113.1 || grep -qv '^Iface' /proc/net/route`,
    process: leaves,
    confined: 'there is no route',
  },
  {
    name: 'reach-names',
    tries: 'look up a name',
    through,
    script: `getent hosts example.com`,
    process: leaves,
    confined: 'there is no route, and no resolver',
  },
  {
    name: 'gateway-as-another',
    tries: 'spend another cell’s budget: by its token, or by its socket',
    through,
    script: `if [ -S "$OTHER_SOCKET" ]; then code=$(${ask} --unix-socket "$OTHER_SOCKET" http://gateway/scripted/chat/completions); ${isKnown}; fi
${otherUrl}; token=$(grep -o '"apiKey": *"[^"]*"' "$OTHER_CONFIG" | head -1 | cut -d'"' -f4)
code=$(${ask} -H "authorization: Bearer $token" "$url/chat/completions"); ${isKnown}`,
    process: ['succeeds', 'the token lies in a file of the same user'],
    confined: 'its socket and its files are not there',
  },
  {
    name: 'gateway-without-token',
    tries: 'use another cell’s way to its models without its token',
    through,
    script: `${otherUrl}; [ -n "$url" ] && code=$(${ask} "$url/chat/completions"); ${isKnown}`,
    process: ['refused', 'the gateway asks for the token'],
    confined: 'its socket is not there, and its port neither',
  },
  {
    name: 'gateway-extend',
    tries: 'ask the gateway for more budget',
    through,
    script: `url=$(grep -o 'http://127[^"]*' "$OPENCODE_CONFIG" | head -1)
token=$(grep -o '"apiKey": *"[^"]*"' "$OPENCODE_CONFIG" | head -1 | cut -d'"' -f4)
[ -n "$url" ] || exit 99
for path in extend budget cells accounts; do
  code=$(${ask} -H "authorization: Bearer $token" "$url/$path"); echo "$path $code"
  case "$code" in 2*) exit 0;; esac
done; exit 1`,
    process: ['refused', 'it knows the paths of models and no other'],
    confined: 'it knows the paths of models and no other',
  },
  {
    name: 'socket-of-supervisor',
    tries: 'connect to the supervisor, which can raise budgets and start commands',
    through,
    script: unix(`"$ENV{STATE}/supervisor.sock"`),
    process: ['succeeds', 'the socket is open to its user'],
    confined: 'it is not there',
  },
  {
    name: 'socket-of-docker',
    tries: 'connect to the engine of Docker',
    through,
    script: unix('$ENV{DOCKER_SOCKET}'),
    process: ['succeeds', 'the socket is open to its user'],
    confined: 'it is not there',
  },
  {
    name: 'socket-of-host',
    tries: 'connect to a Unix socket of a service of the host',
    through,
    script: unix('$ENV{HOST_SOCKET}'),
    process: ['succeeds', 'the socket is open to its user'],
    confined: 'it is not there',
  },
  {
    name: 'socket-without-path',
    tries: 'connect to an abstract socket of the host',
    through,
    script: unix('"\\0$ENV{ABSTRACT_SOCKET}"'),
    process: ['succeeds', open],
    confined: ownNetwork,
  },
];
