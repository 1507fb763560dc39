import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Micros } from '../clock.ts'
import { FabraError } from '../errors.ts'
import type { HttpServer } from '../http/server.ts'

/** Where other commands find the server that holds the data folder. */
export function noteOf(dataDir: string): string {
  return join(dataDir, 'server.json')
}

interface Note {
  readonly localKey: string
  /** Of definitions. */
  readonly files: readonly string[]
  /** Of a server with another present. */
  readonly clockOffset: Micros | null
}

/** @throws what the disk says */
export async function leaveNote(dataDir: string, server: HttpServer, { localKey, files, clockOffset }: Note): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  // A file that is there already would keep its mode.
  await rm(noteOf(dataDir), { force: true })
  const note = { url: server.url, pid: process.pid, key: localKey, files, clock_offset: clockOffset }
  await writeFile(noteOf(dataDir), `${JSON.stringify(note)}\n`, { mode: 0o600 })
}

export function noFolder(dataDir: string, cause: unknown): FabraError {
  const why = cause instanceof Error ? cause.message.replace(/^E[A-Z]+: |, \w+ '.*$/g, '') : 'it cannot be written'
  return new FabraError('io_failed', `The data folder ${dataDir} cannot be used: ${why}.`, {
    hint: 'Set FABRA_DATA_DIR to a folder that this user may write to.',
    cause,
  })
}
