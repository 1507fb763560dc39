import type { Micros } from '../../clock.ts'

const DAY = 24 * 60 * 60
const USERS = 20

/**
 * Transactions from 35 days before `now` to 70 days after it, as CSV. The later ones become visible when their time comes, so the
 * first request of a new project has a value that is not zero today, and still has weeks later. u1 pays every 5 to 25 minutes, day
 * and night; the others every few hours to days.
 */
export function sampleTransactions(now: Micros): string {
  const random = seededRandom(42)
  const start = Math.floor(now / 1_000_000) - 35 * DAY
  const end = start + 105 * DAY
  const rows: { user: number; at: number }[] = []
  for (let user = 1; user <= USERS; user++) {
    const [least, most] = user === 1 ? [5 * 60, 25 * 60] : [30 * 60, user * 4 * 60 * 60]
    for (let at = start; at < end; at += Math.floor(least + random() * (most - least))) rows.push({ user, at })
  }
  rows.sort((a, b) => a.at - b.at || a.user - b.user)
  const lines = rows.map(({ user, at }, i) => {
    const amount = 2 + 60 * random() ** 2
    const merchant = 1 + Math.floor(random() ** 2 * 30)
    return `${i + 1},u${user},m${merchant},${amount.toFixed(2)},${isoSeconds(at)}`
  })
  return `id,user_id,merchant_id,amount,created_at\n${lines.join('\n')}\n`
}

function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

/** Mulberry32: the same sample on every machine. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
