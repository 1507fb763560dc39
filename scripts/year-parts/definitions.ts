/** What is served, as the oracle knows it. */

export const FEATURES = Number(process.env['FEATURES'] ?? 20)
/** Pushed; all others are computed. */
export const PUSHED = 'note'
export const COMPUTED = Array.from({ length: FEATURES - 1 }, (_, i) => `seen_${i + 1}`)

const PARTS_A_NOTE = 6

/** What is pushed: half a thousand characters, which no store makes smaller, so that history is more than the pages that are begun for it. */
export function noteOf(n: number): string {
  const parts = Array.from({ length: PARTS_A_NOTE }, (_, i) => new Bun.CryptoHasher('sha512').update(`${n} ${i}`).digest('base64'))
  return [n, ...parts].join(' ')
}

/** Days that a feature looks back. A new version, each some weeks, looks back one more. */
export function windowDays(feature: number, version: number): number {
  return 1 + feature + (feature === version % (FEATURES - 1) ? 1 : 0)
}

/** @param version Counts the changes: each is one of one feature. */
export function definitions(version: number): string {
  const computed = COMPUTED.map(
    (name, i) => `export const ${name} = feature({ ...regular, sql: \`SELECT COUNT(*) FROM events
  WHERE user_id = $user_id AND kind = ${i % 3} AND seen_at > now() - INTERVAL '${windowDays(i, version)} days'\` })`,
  )
  return `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'seen_at', columns: { user_id: 'text', kind: 'integer', seen_at: 'timestamptz' } })
const regular = { entity: User, type: 'int', refresh: '12h', timeout: '20s', keep_warm: '10d' } as const
export const ${PUSHED} = feature({ entity: User, type: 'string' })
${computed.join('\n')}
`
}
