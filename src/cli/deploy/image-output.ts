/** What goes into an image and what stays out, for people and for programs. */
import { counted } from '../output.ts'
import type { ProjectContents } from './project-contents.ts'
import { foldersAbove, type ProjectFile } from './project-files.ts'

/** More are counted. */
const MOST_NAMES = 8

export function imageAsText({ copied, excluded, notes }: ProjectContents): string {
  const together = grouped(excluded, copied)
  return [
    `Into the image ${copied.length === 1 ? 'goes' : 'go'} ${counted(copied.length, 'file')}, ${sizeText(total(copied))}:`,
    `  ${names(copied.map((file) => file.path))}`,
    ...(excluded.length === 0
      ? []
      : [
          `Left out ${excluded.length === 1 ? 'is' : 'are'} ${counted(excluded.length, 'file')}, ${sizeText(total(excluded))}; --include takes more along:`,
          `  ${names(together.map(({ path, bytes }) => `${path} (${sizeText(bytes)})`))}`,
        ]),
    ...notes.flatMap(({ message, hint }) => [message, `  ${hint}`]),
    '',
  ].join('\n')
}

export function imageAsJson({ copied, excluded, notes, foreign, reason }: ProjectContents): object {
  return {
    copied,
    copied_bytes: total(copied),
    left_out: excluded.map(({ path, bytes }) => ({ path, bytes, why: reason(path) ?? 'not needed' })),
    left_out_bytes: total(excluded),
    notes: [...notes, ...foreign],
  }
}

/** Folders of which nothing is copied count as one. Largest first. */
function grouped(excluded: readonly ProjectFile[], copied: readonly ProjectFile[]): ProjectFile[] {
  const shared = new Set(copied.flatMap(({ path }) => foldersAbove(path)))
  const sizes = new Map<string, number>()
  for (const { path, bytes } of excluded) {
    const folder = foldersAbove(path).find((above) => !shared.has(above))
    const name = folder === undefined ? path : `${folder}/`
    sizes.set(name, (sizes.get(name) ?? 0) + bytes)
  }
  return [...sizes].map(([path, bytes]) => ({ path, bytes })).sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1))
}

function names(all: readonly string[]): string {
  const rest = all.length - MOST_NAMES
  return rest > 0 ? `${all.slice(0, MOST_NAMES).join(', ')} and ${rest} more` : all.join(', ')
}

function total(files: readonly ProjectFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes, 0)
}

function sizeText(bytes: number): string {
  const unit = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3
  const amount = bytes / 1e3 ** unit
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${['B', 'kB', 'MB', 'GB'][unit]}`
}
