/** Data files as processes leave them that are killed. */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const WRITER = join(import.meta.dir, 'data-file-writer.ts')
const PARTS = ['', '.wal', '.mark'] as const

export interface Writer {
  readonly pid: number
  /** Rows that were acknowledged, by their seq. Complete once it has been killed. */
  acknowledged(): readonly number[]
  /** Until it has printed this line. */
  said(line: 'marked' | 'done' | number): Promise<void>
  kill(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A process that holds the file. @param behind Rows that it appends behind the mark; "on": until it is killed. */
export function startWriter(file: string, before: number, behind: number | 'on' = 0): Writer {
  const child = Bun.spawn([process.execPath, WRITER, file, String(before), String(behind)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  let look = () => {}
  const ended = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true })
      look()
    }
  })()
  const kill = async () => {
    child.kill('SIGKILL')
    await Promise.all([child.exited, ended])
  }
  return {
    pid: child.pid,
    // What was cut off in mid-line was not acknowledged to anybody.
    acknowledged: () =>
      text
        .split('\n')
        .slice(0, -1)
        .map(Number)
        .filter((seq) => seq > 0),
    said: (line) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (text.includes(`${line}\n`)) resolve()
        }
        void child.exited.then((code) => reject(new Error(`The writer ended with ${code ?? child.signalCode}.`)))
        look()
      }),
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

/** A file, its log and its mark. */
export function copyDataFile(from: string, to: string): void {
  for (const part of PARTS) if (existsSync(`${from}${part}`)) copyFileSync(`${from}${part}`, `${to}${part}`)
}

/** What must not change when a start is refused. */
export function bytesOf(file: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const part of PARTS)
    if (existsSync(`${file}${part}`)) found[part] = new Bun.CryptoHasher('sha256').update(readFileSync(`${file}${part}`)).digest('hex')
  return found
}

/** Five bytes from `at` on become others. */
export function flip(path: string, at: number): void {
  const bytes = readFileSync(path)
  for (let i = at; i < at + 5; i++) bytes[i] = (bytes[i] ?? 0) ^ 0x5a
  writeFileSync(path, bytes)
}
