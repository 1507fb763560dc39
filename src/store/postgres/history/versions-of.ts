import type { HistoryRow } from '../../ports/offline-store.ts'

/** A feature's version, which has a number in packed history. */
export interface NumberedVersion {
  readonly name: string
  readonly feature: string
  readonly fingerprint: string
}

export function nameOf({ feature, fingerprint }: Pick<HistoryRow, 'feature' | 'fingerprint'>): string {
  return `${feature}@${fingerprint}`
}

export function versionsOf(rows: readonly HistoryRow[]): NumberedVersion[] {
  const versions = new Map<string, NumberedVersion>()
  let last: HistoryRow | undefined
  for (const row of rows) {
    const { feature, fingerprint } = row
    if (feature === last?.feature && fingerprint === last.fingerprint) continue
    last = row
    const name = nameOf(row)
    versions.set(name, { name, feature, fingerprint })
  }
  return [...versions.values()]
}
