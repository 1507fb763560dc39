/**
 * Unit tests of features, without a server, under bun:test, node:test and others:
 *
 * ```ts
 * import { testStore } from 'fabra/test'
 *
 * const store = await testStore('features.ts')
 * const then = store.at('2026-01-02T00:00Z').given({ transactions: [{ user_id: 'u1', amount: 9.5, created_at: '2026-01-01T23:30:00Z' }] })
 * await then.expect('transaction_count_1h', 'u1').toBe(1)
 * ```
 *
 * The executable computes what serving would, in memory.
 */

/** One value, or all key columns by name or in their order. */
export type Key = string | number | bigint | readonly (string | number | bigint)[] | Readonly<Record<string, string | number | bigint>>

/** A time that stands still, and rows that sources have then. */
export interface Moment {
  /** Rows by source. Sources that are never given are empty. */
  given(rows: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>): Moment
  /** What serving would answer; whole numbers beyond 2^53 as bigint. @throws FabraError */
  value(feature: string, key: Key, inputs?: Readonly<Record<string, unknown>>): Promise<unknown>
  expect(feature: string, key: Key, inputs?: Readonly<Record<string, unknown>>): Expectation
}

export interface Expectation {
  /** @throws AssertionError with both sides where another value came. @throws FabraError */
  toBe(expected: unknown): Promise<void>
}

export interface TestStore {
  /** RFC 3339 with a zone; seconds may be left out. */
  at(time: string | Date): Moment
  /** It also ends with the process. */
  close(): Promise<void>
}

/** `code` and `hint` tell what is wrong with the definitions, the rows, or the question. */
export class FabraError extends Error {
  readonly code: string
  readonly hint: string | undefined
}

/** @param files Definition files; features.ts and features.py of the current folder where none are named. */
export function testStore(...files: readonly string[]): Promise<TestStore>
