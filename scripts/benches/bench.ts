/** What a benchmark measured: one row of the table. */
export interface Measurement {
  readonly what: string
  readonly unit: 'µs' | 'ms' | 'B' | 'kB' | 'MB' | 'MiB' | 's' | '/s' | '×'
  /** One for each run. */
  readonly values: readonly number[]
  /** What is promised of the median. */
  readonly atMost?: number
  readonly atLeast?: number
}

/** A file `<name>.bench.ts` in this folder exports one of these as `bench`. `<name>=<size>` has it measure another size than is promised. */
export type Bench = (size?: number) => Promise<readonly Measurement[]>

/** Runs one after the other, so that they do not disturb each other. */
export async function repeat(runs: number, run: () => Promise<number>): Promise<number[]> {
  const values: number[] = []
  for (let index = 0; index < runs; index += 1) values.push(await run())
  return values
}
