/** Rows of a test in the place of sources' files. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Micros } from '../clock.ts'
import { stringifyExact } from '../definition/exact-json.ts'
import type { Entity, Registry, Source } from '../definition/model.ts'
import { formatTime, parseTime } from '../definition/time.ts'
import { FabraError, suggest } from '../errors.ts'
import { readRequest } from '../ingest/append-request.ts'
import { isObject } from '../ingest/row-error.ts'
import { SourceTables } from '../ingest/source-tables.ts'
import { listFiles } from '../store/ports/source-file-list.ts'
import type { SourceRows } from '../store/ports/source-rows.ts'

/** Source → rows. */
export type GivenRows = Readonly<Record<string, readonly unknown[]>>

/** Rows of a test may be later than its time: that they do not count is what many tests are about. */
const END_OF_TIME = parseTime('2255-01-01T00:00:00Z')

/** @throws FabraError unknown_source, with the nearest known one; invalid_body */
export function checkGiven(registry: Registry, given: GivenRows): void {
  for (const [name, rows] of Object.entries(given)) {
    if (!registry.sources.has(name)) {
      throw new FabraError('unknown_source', `No source "${name}" is declared.`, { hint: suggest(name, [...registry.sources.keys()]) })
    }
    if (!Array.isArray(rows))
      throw new FabraError('invalid_body', `The rows given of "${name}" are no list.`, { hint: 'Give a list of rows.' })
  }
}

/**
 * Columns are those of the source's own file or declaration. Where neither is there (a table of PostgreSQL, a file that is not on this machine),
 * the rows given show them.
 */
export async function withGivenShapes(registry: Registry, known: readonly GivenRows[], folder: string): Promise<Registry['sources']> {
  const sources = new Map<string, Source>()
  for (const [name, source] of registry.sources) {
    const rows = known.flatMap((given) => given[name] ?? []).filter(isObject)
    if (hasShape(source) || rows.length === 0) {
      sources.set(name, source)
      continue
    }
    const file = join(folder, `${sources.size}.jsonl`)
    await writeFile(file, `${rows.map((row) => stringifyExact(row)).join('\n')}\n`)
    sources.set(name, { ...source, file, format: null })
  }
  return sources
}

/** Whether anything shows the source's columns. */
export function hasShape({ file, columns }: Source): boolean {
  if (file === null) return columns !== null
  try {
    return listFiles(file).files.some((one) => Bun.file(one.path).size > 0)
  } catch {
    return false
  }
}

interface Filling {
  readonly registry: Registry
  readonly sourceRows: SourceRows
  readonly at: Micros
}

/** @throws FabraError naming the source, row and column that is wrong */
export async function fillSources(given: GivenRows, { registry, sourceRows, at }: Filling): Promise<void> {
  const tables = new SourceTables(sourceRows, () => registry)
  for (const [name, rows] of Object.entries(given)) {
    const source = registry.sources.get(name)
    if (!source || rows.length === 0) continue
    try {
      const arrived = rows.map((row) => withArrival(source, row, at))
      const options = { tables, registry: () => registry, clock: { now: () => END_OF_TIME } }
      const { request } = await readRequest({ source, rows: arrived, idempotencyKey: null }, options)
      const [outcome] = await sourceRows.append([request])
      if (outcome?.kind === 'failed') throw outcome.error
      if (outcome?.kind === 'refused') throw new FabraError('invalid_value', `the table does not take them: ${outcome.why}`)
    } catch (error) {
      if (!(error instanceof FabraError)) throw error
      throw new FabraError(error.code, `Rows given of "${name}": ${error.message}`, {
        ...(error.hint === undefined
          ? {}
          : { hint: error.hint.replace('See GET /v1/sources for what there is.', 'Rows are as a source takes them.') }),
        cause: error,
      })
    }
  }
}

/** A row that does not tell when it came in came in when it happened. */
function withArrival({ available, timestamp }: Source, row: unknown, at: Micros): unknown {
  if (available === null || !isObject(row) || Object.hasOwn(row, available)) return row
  return { ...row, [available]: (timestamp !== null && row[timestamp]) || formatTime(at) }
}

/** @throws FabraError invalid_key */
export function keyRow(entity: Entity, key: unknown): Record<string, unknown> {
  if (isObject(key)) return key
  const values = Array.isArray(key) ? key : [key]
  if (values.length !== entity.key.length) {
    const names = entity.key.map(({ name }) => name).join(', ')
    throw new FabraError('invalid_key', `${entity.name} is keyed by ${names}: ${values.length} values were given.`, {
      hint: `Give them by name: {${entity.key.map(({ name }) => `"${name}": …`).join(', ')}}.`,
    })
  }
  return Object.fromEntries(entity.key.map(({ name }, i) => [name, values[i]]))
}
