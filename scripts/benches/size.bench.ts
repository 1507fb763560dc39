import { statSync } from 'node:fs'
import type { Bench } from './bench.ts'
import { BINARY } from './server.ts'

export const bench: Bench = async () => [{ what: 'size of the executable', unit: 'MB', values: [statSync(BINARY).size / 1e6] }]
