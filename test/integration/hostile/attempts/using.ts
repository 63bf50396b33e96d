import type { Attempt } from '../attempt.ts';

const none = 'a cell of this runtime has no limits';

/** More than there is, and what stays. Each has a bound of its own, that a machine without limits bears. */
export const using: readonly Attempt[] = [
  {
    name: 'fork-bomb',
    tries: 'have 1,200 processes at once, with a limit of 1,024',
    through: 'test command',
    // All of them end before the next attempt, which could start nothing else.
    script: `perl -e 'my @p; for (1..1200) { my $p = fork; last unless defined $p; if (!$p) { sleep 90; exit } push @p, $p }
print scalar(@p), " run\\n"; kill "KILL", @p; waitpid $_, 0 for @p; exit(@p < 1200)'`,
    process: ['succeeds', none],
    confined: 'the limit on processes',
  },
  {
    name: 'fill-memory',
    tries: 'use 1.2 GiB of memory, with a limit of 1 GiB',
    through: 'test command',
    script: `perl -e 'my $n = 1200 << 20; my $m = "x" x $n; print length($m), "\\n"'`,
    process: ['succeeds', none],
    confined: 'the limit on memory',
  },
  {
    name: 'fill-temporary',
    tries: 'write 300 MiB into `/tmp`',
    through: 'test command',
    script: `f=/tmp/agent-cells-hostile-$$; trap 'rm -f $f' EXIT; head -c 300M /dev/zero > $f`,
    process: ['succeeds', none],
    confined: 'it has a size of 256 MiB, and is the cell’s own',
  },
  {
    name: 'fill-disk',
    tries: 'make a file of 300 MiB in the worktree, with a quota of 200 MiB',
    through: 'test command',
    // With a hole: what takes 200 MiB on the disk may be seen by the worker in that moment, which ends the cell before there is a verdict.
    script: `trap 'rm -f filling' EXIT; dd if=/dev/zero of=filling bs=1M seek=299 count=1`,
    process: ['succeeds', 'it is within the quota of 10 GiB, which the worker measures and no kernel enforces'],
    confined: 'no file may be larger than the quota of the cell, and the cell ends when all are',
  },
  {
    name: 'stay-in-session',
    tries: 'leave a daemon: a session of its own, two forks, no environment',
    through: 'agent',
    judgedBy: 'process',
    script: `(env -i setsid sh -c "sleep $STAYS_AGENT & exit" &) >/dev/null 2>&1 < /dev/null`,
    process: ['depends', 'its control group ends with the cell where the host has them; else it stays'],
    confined: 'all processes of a sandbox end with it',
  },
  {
    name: 'stay-after-tests',
    tries: 'leave a daemon from the test command',
    through: 'test command',
    judgedBy: 'process',
    script: `(env -i setsid sh -c "sleep $STAYS_TEST & exit" &) >/dev/null 2>&1 < /dev/null`,
    process: ['depends', 'its control group ends with the command where the host has them; else it stays'],
    confined: 'all processes of a sandbox end with it',
  },
];
