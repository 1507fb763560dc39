/** What the oracle says of a random world, and how the world is declared, whatever the engine. */
import type { Computed } from '../../src/compute/executor.ts'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { type Expected, type OracleSource, type SeenRow, visibleRows } from './oracle.ts'
import type { Case, KeyKind } from './oracle-cases.ts'
import { written } from './oracle-shapes.ts'

export const KEY_COLUMNS: Readonly<Record<KeyKind, Readonly<Record<string, KeyType>>>> = {
  string: { user_id: 'string' },
  int: { account: 'int' },
  uuid: { device: 'uuid' },
  pair: { user_id: 'string', merchant_id: 'int' },
}

export function expectedOf(world: Case, index: number, key: readonly string[], t: number): Expected {
  const draw = world.shapes[index]
  if (!draw) throw new Error('No such shape.')
  return written[draw.shape].answer({
    events: visibleRows(world.events, t),
    facts: visibleRows(world.facts, t),
    isMine: (row: SeenRow) => row.key.every((value, i) => value === key[i]),
    t,
    draw,
    scale: world.events.scale,
    factScale: world.facts.scale,
  })
}

export function shortOf(answer: Computed | undefined): string | readonly string[] {
  if (!answer) return 'no answer'
  if (answer.kind === 'value') return answer.texts
  return answer.kind === 'missing' ? 'missing' : answer.error.code
}

export function settingsOf(source: OracleSource): Partial<Source> {
  if (!source.timed) return { static: true }
  return {
    timestamp: 'ts',
    delay: source.delay,
    timezone: source.zone,
    available: source.available ? 'seen' : null,
    until: source.until ? 'until' : null,
    id: source.id ? 'event_id' : null,
  }
}
