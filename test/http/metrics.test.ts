import { expect, test } from 'bun:test'
import { histogramSamples, metricsText } from '../../src/observability/metrics.ts'
import { HEAD } from '../support/project-folder.ts'
import { realApp } from '../support/real-app.ts'

test('figures are told as Prometheus reads them', () => {
  const labels = { store: 'a"b\\c\nd' }
  expect(metricsText([{ name: 'up', help: 'Up.', type: 'gauge', samples: [{ labels, value: 1 }, { value: 0.5 }] }])).toBe(
    '# HELP up Up.\n# TYPE up gauge\nup{store="a\\"b\\\\c\\nd"} 1\nup 0.5\n',
  )
})

test('a histogram counts what is below each of its edges', () => {
  const samples = histogramSamples([0, 1, 2, 5], [3, 0, 4], 12.5)
  expect(metricsText([{ name: 't', help: 'T.', type: 'histogram', samples }])).toBe(
    '# HELP t T.\n# TYPE t histogram\nt_bucket{le="1"} 3\nt_bucket{le="2"} 3\nt_bucket{le="+Inf"} 7\nt_sum 12.5\nt_count 7\n',
  )
})

test('a process tells of its stores and its history', async () => {
  await using app = await realApp({
    'features.ts': `${HEAD}export const score = feature({ entity: User, type: 'float' })`,
    'events.csv': 'user_id,created_at\nu1,2026-01-01 10:00:00\n',
  })
  await app.post('/v1/features/score/values', {
    rows: [
      { user_id: 'u1', value: 1 },
      { user_id: 'u2', value: 2 },
    ],
  })
  const { status, text } = await app.get('/metrics')
  expect(status).toBe(200)
  expect(text).toMatch(/^fabra_store_up\{store="\w+"\} 1$/m)
  expect(text).toContain('\nfabra_history_rows_written_total 2\n')
  expect(text).toMatch(/^process_resident_memory_bytes \d{7,}$/m)
})
