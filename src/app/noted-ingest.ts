import type { Ingest } from '../ingest/ingest.ts'
import type { OwnInsight } from './insight.ts'

/** What comes in is noted when it is durable. */
export function noted(ingest: Ingest, { changes, samples }: OwnInsight): Ingest {
  return {
    ...ingest,
    async push(feature, rows) {
      const receipt = await ingest.push(feature, rows)
      changes.pushed(feature.name, receipt.accepted)
      return receipt
    },
    async append(source, rows, key) {
      const receipt = await ingest.append(source, rows, key)
      changes.appended(source.name, rows.length)
      return receipt
    },
    async forget(entity, key) {
      const receipt = await ingest.forget(entity, key)
      samples.forget(entity.name, key.encoded)
      return receipt
    },
  }
}
