import { rmSync } from 'node:fs'
import { type Bench, repeat } from './bench.ts'
import { FIRST_READ, read, serveExample, temporaryFolder } from './server.ts'

/** From the start of the process to the first answered read, in a new data folder each time. */
export const bench: Bench = async () => {
  const toFirstAnswerMs = async (cacheFolder?: string) => {
    const startedAt = performance.now()
    const server = await serveExample(cacheFolder)
    try {
      await read(server, FIRST_READ)
      return performance.now() - startedAt
    } finally {
      await server.stop()
    }
  }
  const toVeryFirstAnswerMs = async () => {
    const cacheFolder = temporaryFolder()
    try {
      return await toFirstAnswerMs(cacheFolder)
    } finally {
      rmSync(cacheFolder, { recursive: true, force: true })
    }
  }
  await toFirstAnswerMs()
  return [
    { what: 'start to first answer', unit: 'ms', values: await repeat(9, () => toFirstAnswerMs()), atMost: 200 },
    { what: 'very first start to first answer', unit: 'ms', values: await repeat(5, toVeryFirstAnswerMs), atMost: 1500 },
  ]
}
