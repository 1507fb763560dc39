import { existsSync } from 'node:fs'
import { copyFile, rename } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import type { Bench, Measurement } from './bench.ts'
import { fabra, keyOf, timed, timeOf, trained, type Wanted, withProject } from './training-run.ts'

const PROJECT = resolve(import.meta.dir, '../..')
const VENV = join(PROJECT, '.bun/pandas')
const PACKAGES = ['pandas==3.1.1', 'pyarrow==26.0.1', 'numpy==2.4.6']
const LONG = ownDeadline(3_600_000)
const HISTORY_FILE = 'history.parquet'

/** Recorded values as of each label's time, beside what pandas needs for the same. */
export const bench: Bench = async () => {
  const wanted = [{ labels: 10_000 }, { labels: 100_000 }, { labels: 1_000_000, atMost: 30 }]
  return history({ rows: 10_000_000, keys: 100_000, features: 20 }, wanted)
}

interface Recorded {
  readonly rows: number
  readonly keys: number
  readonly features: number
}

export async function history(recorded: Recorded, wanted: readonly Wanted[]): Promise<Measurement[]> {
  const names = Array.from({ length: recorded.features }, (_, f) => `f${f}`)
  const features = names.map((name) => `export const ${name} = feature({ entity: User, type: "int" });`)
  const text = `import { entity, feature } from "fabra";\nexport const User = entity("User", { key: "user_id" });\n${features.join('\n')}\n`
  return withProject(text, async (cwd) => {
    await record(cwd, recorded, names)
    const shape = { events: recorded.rows, keys: recorded.keys, hot: false }
    const own = await trained(cwd, {
      shape,
      features: names,
      wanted,
      name: (labels) => `train ${labels} × ${names.length} recorded features over ${recorded.rows.toLocaleString('en')} rows of history`,
    })
    return [
      ...own,
      ...(await mergeAsof(
        cwd,
        recorded,
        own.findLast((one) => one.unit === 's'),
      )),
    ]
  })
}

/** Straight into the data folder: as many pushes would take longer than everything that is measured. */
async function record(cwd: string, { rows, keys, features }: Recorded, names: readonly string[]): Promise<void> {
  const { stdout } = await fabra(['train', '--features', names.join(','), '--explain', '--json'], cwd)
  const explained = (JSON.parse(stdout) as { features: { feature: string; fingerprint: string }[] }).features
  const fingerprints = explained.map(({ feature, fingerprint }) => `('${feature}', '${fingerprint}')`)
  const database = await openDatabase({ file: join(cwd, '.fabra/fabra.duckdb') })
  try {
    await database.loader.use(LONG, async (session) => {
      const key = keyOf(`i // ${features}`, { events: rows, keys, hot: false })
      await session.execute(
        `INSERT INTO fabra.feature_history
         SELECT feature, fingerprint, ${key}, CAST(i AS VARCHAR), t, t + INTERVAL '1 second', t, i, 'pushed'
         FROM (SELECT i, 'f' || (i % ${features}) AS feature, ${timeOf('i + 7')} AS t FROM range(${rows}) r(i))
         JOIN (VALUES ${fingerprints.join(', ')}) AS known(feature, fingerprint) USING (feature)`,
        LONG,
      )
      const lent = join(database.loadDir, HISTORY_FILE)
      await session.execute(
        `COPY (SELECT feature, entity_key AS user_id, event_timestamp, CAST(value AS BIGINT) AS value FROM fabra.feature_history) TO '${lent}' (FORMAT parquet)`,
        LONG,
      )
      await rename(lent, join(cwd, HISTORY_FILE))
    })
  } finally {
    await database.close()
  }
}

/** pandas' own as-of join, which looks at one time alone: the event's, not when the value arrived. Labels, history and result are Parquet, too. */
async function mergeAsof(cwd: string, { features }: Recorded, beside: Measurement | undefined): Promise<Measurement[]> {
  const what = `pandas merge_asof, the largest of these by ${PACKAGES[0]}`
  if (!(await installPandas())) return [{ what: `${what}: pandas cannot be installed here`, unit: 's', values: [] }]
  await copyFile(join(import.meta.dir, 'merge-asof.py'), join(cwd, 'merge-asof.py'))
  const { seconds, peakMiB } = await timed([join(VENV, 'bin/python'), 'merge-asof.py', HISTORY_FILE, String(features)], cwd)
  const own = beside?.values[0] ?? Number.NaN
  return [
    { what, unit: 's', values: [seconds] },
    { what: `${what}: memory`, unit: 'MiB', values: [peakMiB] },
    { what: `${what}: times as long as train`, unit: '×', values: [seconds / own] },
  ]
}

/** Once, then it is there. */
async function installPandas(): Promise<boolean> {
  if (existsSync(join(VENV, 'installed'))) return true
  try {
    await timed(['python3', '-m', 'venv', '--clear', VENV], PROJECT)
    await timed([join(VENV, 'bin/pip'), 'install', '--quiet', '--only-binary', ':all:', ...PACKAGES], PROJECT)
    await Bun.write(join(VENV, 'installed'), PACKAGES.join('\n'))
    return true
  } catch (error) {
    console.error(`pandas cannot be installed: ${error instanceof Error ? error.message : error}`)
    return false
  }
}
