import which from 'which';
import type { Probe } from '../runtime.ts';
import { connectEngine, EngineElsewhere } from './client.ts';
import { baseImageName, imageId } from './image.ts';
import { seccompProfile } from './seccomp-profile.ts';
import { whyNotImage } from './try-image.ts';

export interface DockerHost {
  /** An image of the operator's; null for the base image that is made here. */
  image: string | null;
  /** What `DOCKER_HOST` says; null for the usual places. */
  host: string | null;
  /** Whose services cells reach by their names, where they are allowed to. */
  project: string;
}

/** An engine that answers a question at all does so within this time, milliseconds. */
const silenceMs = 5_000;

/** Whether cells can run in Docker here: an engine of this machine answers, it has the image, and can limit what a cell uses. */
export async function probeDocker({ image, host }: Pick<DockerHost, 'image' | 'host'>): Promise<Probe> {
  if (process.platform !== 'linux')
    return {
      usable: false,
      why: `containers get programs and sockets of this host, which is ${process.platform}`,
      try: 'run the worker on Linux',
    };
  let info: Record<string, unknown>;
  try {
    const asked = await connectEngine(host, silenceMs);
    await asked.ping();
    info = await asked.info();
  } catch (error) {
    return { usable: false, ...whyNoEngine(error) };
  }
  const engine = await connectEngine(host);
  const unlimited = ['MemoryLimit', 'CpuCfsQuota', 'PidsLimit'].filter((name) => info[name] !== true);
  if (unlimited.length > 0)
    return {
      usable: false,
      why: `the engine has no control groups for ${unlimited.join(', ')}`,
      try: 'see `docker info`, and what it warns of',
    };
  const name = image ?? (await baseImageName());
  if ((await imageId(engine, name)) === null)
    return {
      usable: false,
      why: `the engine does not have the image ${name}`,
      try: image === null ? 'run `cells image build`' : `load or pull it, or unset CELLS_DOCKER_IMAGE`,
    };
  const fault = image === null ? null : await whyNotImage(engine, image);
  if (fault !== null)
    return {
      usable: false,
      why: `no cell can run in the image ${name}: ${fault}`,
      try: 'add what it lacks to the image, or unset CELLS_DOCKER_IMAGE',
    };
  if (image === null && (await which('socat', { nothrow: true })) === null)
    return { usable: false, why: 'there is no socat on the PATH', try: 'install socat' };
  return { usable: true, notes: notesOf(String(info['ServerVersion']), name) };
}

function whyNoEngine(error: unknown): { why: string; try: string } {
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof EngineElsewhere)
    return { why, try: 'run the worker where the engine is, and unset DOCKER_HOST or name its socket' };
  const refused = error instanceof Error && 'code' in error && error.code === 'EACCES';
  return {
    why: `no engine can be asked: ${why}`,
    try: refused
      ? 'let the user of the worker use the socket of the engine, which is as good as root'
      : 'install docker.io and start its engine, or name its socket with DOCKER_HOST',
  };
}

const notesOf = (version: string, image: string): string[] => [
  `engine ${version}, image ${image}: a cell sees the system read-only, its own files and its own processes, and has no network but its model`,
  process.getuid?.() === 0
    ? 'each cell has a user id of its own'
    : 'all cells run as the user of the worker, who may use the engine and so is as good as root',
  'memory, processors and number of processes are limited',
  seccompProfile() === null
    ? `there is no filter of system calls of ours for ${process.arch}; the engine's own one holds`
    : 'a filter keeps system calls out that programs do not need',
];
