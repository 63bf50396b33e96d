import { cellMarker } from '../../../../src/domain/names.ts';
import type { Attempt } from '../attempt.ts';

const through = 'agent';
const shared = 'a worktree shares the repository of its caller';
const notThere = 'the caller’s repository is not there';
const hostsOwn = 'the host reads the worktree with a git directory of its own, whose configuration names no program';

/** A program that tells the test when it ran, and not in the cell: what OpenCode itself runs of git there is no harm. */
const marks = (name: string): string =>
  `printf '#!/bin/sh\\n[ -n "$${cellMarker}" ] || : > "%s/${name}"\\ncat\\n' "$MARKS" > "$PWD/tool-${name}" && chmod 755 "$PWD/tool-${name}"`;

/** Traps that wait for the host’s git. */
const planting: readonly Attempt[] = [
  {
    name: 'plant-hooks',
    tries: 'plant hooks that the host’s git would run',
    through,
    judgedBy: 'mark',
    script: `${marks('plant-hooks')}
hooks=$(git rev-parse --git-path hooks); mkdir -p "$hooks"
for hook in post-checkout pre-commit post-commit reference-transaction post-index-change; do cp "$PWD/tool-plant-hooks" "$hooks/$hook"; done`,
    process: ['refused', 'the host’s git runs without hooks'],
    confined: 'the host’s git runs without hooks, and never in that repository',
  },
  {
    name: 'plant-fsmonitor',
    tries: 'plant `core.fsmonitor` and `core.hooksPath`',
    through,
    judgedBy: 'mark',
    script: `${marks('plant-fsmonitor')}
git config --worktree core.fsmonitor "$PWD/tool-plant-fsmonitor" || git config core.fsmonitor "$PWD/tool-plant-fsmonitor"`,
    process: ['refused', hostsOwn],
    confined: hostsOwn,
  },
  {
    name: 'plant-filter',
    tries: 'plant a filter, with `.gitattributes` that ask for it',
    through,
    judgedBy: 'mark',
    script: `${marks('plant-filter')}
git config filter.trap.clean "$PWD/tool-plant-filter"; git config filter.trap.smudge "$PWD/tool-plant-filter"; git config filter.trap.process "$PWD/tool-plant-filter"
echo '*.trap filter=trap diff=trap' >> .gitattributes; echo trap > one.trap`,
    process: ['refused', hostsOwn],
    confined: hostsOwn,
  },
  {
    name: 'plant-diff-driver',
    tries: 'plant a diff driver',
    through,
    judgedBy: 'mark',
    script: `${marks('plant-diff-driver')}
git config diff.trap.textconv "$PWD/tool-plant-diff-driver"; git config diff.trap.command "$PWD/tool-plant-diff-driver"; git config diff.external "$PWD/tool-plant-diff-driver"
echo '*.trap diff=trap' >> .gitattributes; echo trap > two.trap`,
    process: ['refused', hostsOwn],
    confined: hostsOwn,
  },
  {
    name: 'plant-include',
    tries: 'have git’s configuration include a file of the worktree',
    through,
    judgedBy: 'mark',
    script: `${marks('plant-include')}
printf '[core]\\n\\tfsmonitor = %s/tool-plant-include\\n\\tpager = %s/tool-plant-include\\n' "$PWD" "$PWD" > included
git config include.path "$PWD/included"`,
    process: ['refused', hostsOwn],
    confined: hostsOwn,
  },
  {
    name: 'plant-link',
    tries: 'have the commit follow a symbolic link to a secret',
    through,
    judgedBy: 'commit',
    script: `ln -sfn "$USER_HOME/.ssh/id_ed25519" innocent.txt; ln -sfn "$USER_HOME/.ssh" innocent`,
    process: ['refused', 'links are committed as links'],
    confined: 'links are committed as links',
  },
  {
    name: 'plant-modules',
    tries: 'name a repository of the host as a submodule',
    through,
    judgedBy: 'commit',
    script: `printf '[submodule "x"]\\n\\tpath = x\\n\\turl = %s\\n\\tupdate = !%s\\n' "$REPOSITORY" "touch $MARKS/plant-modules" > .gitmodules`,
    process: ['refused', 'submodules are never read'],
    confined: 'submodules are never read',
  },
];

/** The caller’s repository, which is named outright: a cell that is not confined can find its path. */
const changing = ([name, tries, script]: readonly [string, string, string]): Attempt => ({
  name,
  tries,
  through,
  script,
  process: ['succeeds', shared],
  confined: notThere,
});

export const git: readonly Attempt[] = [
  ...(
    [
      ['change-branch', 'make a branch in the caller’s repository', 'git -C "$REPOSITORY" branch hostile-branch'],
      [
        'change-head',
        'move the caller’s `HEAD`',
        'git -C "$REPOSITORY" symbolic-ref HEAD refs/heads/hostile-branch && git -C "$REPOSITORY" symbolic-ref HEAD refs/heads/main',
      ],
      [
        'change-index',
        'change the caller’s index',
        'cd "$REPOSITORY" && echo x > hostile-file && git add hostile-file',
      ],
      [
        'change-stash',
        'stash the caller’s work',
        'cd "$REPOSITORY" && echo y > hostile-file && git add hostile-file && git -c user.name=x -c user.email=x@example.invalid stash && git stash list | grep -q .',
      ],
      [
        'change-configuration',
        'change the caller’s configuration',
        'git -C "$REPOSITORY" config hostile.was here && [ "$(git -C "$REPOSITORY" config hostile.was)" = here ]',
      ],
      [
        'plant-hook-of-caller',
        'plant a hook in the caller’s repository',
        ': > "$REPOSITORY/.git/hooks/hostile-hook" && rm "$REPOSITORY/.git/hooks/hostile-hook"',
      ],
      [
        'push-to-caller',
        '`git push` to the caller’s repository',
        'git push "$REPOSITORY" HEAD:refs/heads/hostile-push',
      ],
      ['push-to-remote', '`git push` to the caller’s remote', 'git push upstream HEAD:refs/heads/hostile-push'],
    ] as const
  ).map(changing),
  ...planting,
];
