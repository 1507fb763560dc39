/** Folders of training sets that are being made. A process that is killed leaves its own; the next one on the machine removes them. */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/** Machines may share a disk, and know nothing of each other's processes. */
function prefix(): string {
  return `fabra-training-${Bun.hash(hostname()).toString(36)}-`
}

/** @returns the path of a new folder in this one, for this user alone. */
export async function makeTrainingFolder(parent: string): Promise<string> {
  const folder = join(parent, `${prefix()}${process.pid}-${crypto.randomUUID()}`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/** Removes what processes have left that run no more. Never rejects: what cannot be removed stays. */
export async function clearTrainingFolders(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [])
  const dead = names.filter((name) => {
    const pid = name.startsWith(prefix()) ? /^(\d+)-/.exec(name.slice(prefix().length))?.[1] : undefined
    return pid !== undefined && !isRunning(Number(pid))
  })
  await Promise.all(dead.map((name) => rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined)))
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is another user's.
    return (error as { code?: unknown }).code === 'EPERM'
  }
}
