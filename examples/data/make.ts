/**
 * Writes the sample data of the examples: `bun examples/data/make.ts [folder]`. The same seed gives the same bytes, so a run changes nothing.
 *
 * The data reaches far into the future on purpose. A row becomes visible when its time comes, so the examples answer with living
 * values on any day until the files end. One user, u1, acts around the clock; the others are sparse to keep the files small.
 */
import { DuckDBInstance } from '@duckdb/node-api'

const FROM = Date.UTC(2026, 9, 1)
const TO = Date.UTC(2028, 0, 15)
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const folder = process.argv[2] ?? import.meta.dir

type Random = () => number

await Bun.write(`${folder}/transactions.csv`, transactions(seededRandom(1)))
await Bun.write(`${folder}/purchases.jsonl`, purchases(seededRandom(2)))
await writeParquet(`${folder}/page_views.parquet`, pageViews(seededRandom(3)))

/** Card payments of u1…u50. u1 pays every 5 to 25 minutes day and night, so its last hour is never empty. */
function transactions(random: Random): string {
  const categories = ['food', 'fuel', 'travel', 'books', 'games']
  const rows: { user: number; at: number }[] = []
  for (let user = 1; user <= 50; user++) {
    const [least, most] = user === 1 ? [5 * MINUTE, 25 * MINUTE] : [HOUR, (40 + user * 2) * HOUR]
    for (const at of times(random, { from: FROM, to: TO, least, most })) rows.push({ user, at })
  }
  rows.sort((a, b) => a.at - b.at || a.user - b.user)
  const lines = rows.map(({ user, at }, i) => {
    // A few payments are far above the usual, as in life.
    const amount = (2 + 60 * random() ** 2) * (random() < 0.01 ? 20 : 1)
    return `${i + 1},u${user},m${1 + Math.floor(random() ** 2 * 40)},${amount.toFixed(2)},${pick(random, categories)},${iso(at)}`
  })
  return `id,user_id,merchant_id,amount,category,created_at\n${lines.join('\n')}\n`
}

/** Purchases and views in a shop, as JSON lines: what u1…u20 looked at and bought, with the price paid. */
function purchases(random: Random): string {
  const catalogue = { shoes: 80, books: 15, garden: 30, music: 12, kitchen: 45, toys: 20 }
  const names = Object.keys(catalogue) as (keyof typeof catalogue)[]
  const rows: { user: number; at: number }[] = []
  for (let user = 1; user <= 20; user++) {
    const most = user === 1 ? 18 * HOUR : 30 * 24 * HOUR
    for (const at of times(random, { from: FROM, to: TO, least: HOUR, most })) rows.push({ user, at })
  }
  rows.sort((a, b) => a.at - b.at || a.user - b.user)
  const lines = rows.map(({ user, at }) => {
    // Everyone has a taste: two of the six categories come up more often than the others.
    const category = random() < 0.6 ? names[(user + Math.floor(random() * 2)) % names.length] : pick(random, names)
    const price = (catalogue[category ?? 'books'] * (0.5 + random())).toFixed(2)
    return `{"user_id":"u${user}","category":"${category}","action":"${random() < 0.4 ? 'buy' : 'view'}","price":${price},"seen_at":"${iso(at)}"}`
  })
  return `${lines.join('\n')}\n`
}

/** Page views of a site: u1 is always there, u2…u10 come in visits of a few pages. */
function pageViews(random: Random): string[] {
  const pages = ['home', 'search', 'item', 'cart', 'help']
  const rows: string[] = []
  for (const at of times(random, { from: FROM, to: TO, least: 10 * MINUTE, most: 29 * MINUTE }))
    rows.push(`u1,${pick(random, pages)},${iso(at)}`)
  for (let user = 2; user <= 10; user++) {
    for (const visit of times(random, { from: FROM, to: TO, least: 6 * HOUR, most: user * 36 * HOUR })) {
      const length = 1 + Math.floor(random() * 6)
      for (let i = 0, at = visit; i < length; i++, at += Math.floor(random() * 4 * 60) * 1000)
        rows.push(`u${user},${pick(random, pages)},${iso(at)}`)
    }
  }
  return rows
}

async function writeParquet(path: string, rows: readonly string[]): Promise<void> {
  const scratch = `${path}.csv`
  await Bun.write(scratch, `user_id,page,viewed_at\n${rows.join('\n')}\n`)
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run("SET TimeZone = 'UTC'")
  await connection.run(`COPY (
    SELECT user_id, page, viewed_at::TIMESTAMPTZ AS viewed_at FROM read_csv('${scratch}', all_varchar = true) ORDER BY user_id, viewed_at
  ) TO '${path}' (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)`)
  connection.closeSync()
  await Bun.file(scratch).delete()
}

/** Times with random gaps, to the second. */
function times(random: Random, span: { from: number; to: number; least: number; most: number }): number[] {
  const found: number[] = []
  for (let at = span.from; ; ) {
    at += Math.floor((span.least + random() * (span.most - span.least)) / 1000) * 1000
    if (at >= span.to) return found
    found.push(at)
  }
}

function iso(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z')
}

function pick<T>(random: Random, of: readonly T[]): T | undefined {
  return of[Math.floor(random() * of.length)]
}

/** Mulberry32: small, seeded, and the same on every machine. */
function seededRandom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
