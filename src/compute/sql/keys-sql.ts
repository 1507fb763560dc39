import type { Registry } from '../../definition/model.ts'
import { type SourceEngine, SqlError } from '../../store/ports/source-engine.ts'
import { sentence } from './binding.ts'
import { createGatekeeper, writeSql } from './gate.ts'
import { aloneFor } from './rewrite/statement.ts'

/** Why the queries that list entities' keys cannot be run, by the name of the entity. @throws SqlError unavailable */
export async function keysFaults(
  registry: Registry,
  store: SourceEngine,
): Promise<ReadonlyMap<string, { readonly message: string; readonly hint: string }>> {
  const admit = createGatekeeper(store, registry.sources, 'definition')
  const faults = new Map<string, { readonly message: string; readonly hint: string }>()
  for (const { name, keys } of registry.entities.values()) {
    const fault = keys === null ? null : await faultOf(keys, admit, store)
    if (fault !== null) faults.set(name, fault)
  }
  return faults
}

async function faultOf(keys: string, admit: ReturnType<typeof createGatekeeper>, store: SourceEngine) {
  const hint = 'Write a SELECT of the key columns over declared sources.'
  try {
    const admitted = await admit(keys)
    if ('fault' in admitted) return admitted.fault
    const { sql, gate } = admitted
    const [parameter] = sql.parameterNames.keys()
    if (parameter !== undefined) return { message: `It uses ${parameter}, but takes no parameters.`, hint }
    await store.prepare(aloneFor(sql, (written) => written).text)
    await writeSql(
      sql,
      { row: { asOf: "CAST('2001-01-01 00:00:00+00' AS TIMESTAMPTZ)", parameter: (written) => written }, frame: (body) => body },
      gate,
    )
    return null
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return { message: sentence(error.message), hint }
  }
}
