/**
 * Random tables of events, asked at times on and beside the hours of their rows. FABRA_TEST_RUNS sets the number of random questions asked in turn (a
 * world is 60), FABRA_TEST_SEED repeats a run.
 */
import * as fc from 'fast-check'

const RUNS = Number(process.env['FABRA_TEST_RUNS'] ?? 120)
const seed = process.env['FABRA_TEST_SEED']

export const WORLDS_LIMIT_MS = 60_000 + RUNS * 1_000
export const START = Date.parse('2026-01-01T00:00:00Z') * 1000
export const HOUR = 3_600_000_000

export function inWorlds<World>(world: fc.Arbitrary<World>, compare: (one: World) => Promise<void>): Promise<void> {
  return fc.assert(fc.asyncProperty(world, compare), {
    numRuns: Math.ceil(RUNS / 60),
    endOnFailure: true,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  })
}

/** In no order, and each just before, at or after an hour. */
export function moments(count: number): number[] {
  return Array.from({ length: count }, (_, i) => START + ((i * 7) % 66) * HOUR + (Math.floor(i / 3) % 3) - 1)
}

export const sqlText = (value: string | null) => (value === null ? 'NULL' : `'${value}'`)
