/** Alert rules and the dashboard ask for figures that a server tells, in a language that Prometheus reads. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import { parse as parseYaml } from 'yaml'
import { monitoringFiles } from '../../src/deploy/monitoring.ts'
import { HEAD } from '../support/project-folder.ts'
import { realApp } from '../support/real-app.ts'

const text = (path: string) => monitoringFiles().find((file) => file.path === path)?.text ?? ''
const rules = () =>
  (parseYaml(text('monitoring/alerts.yaml')) as { groups: { rules: { alert: string; expr: string }[] }[] }).groups.flatMap(
    (group) => group.rules,
  )
const panels = () =>
  (JSON.parse(text('monitoring/grafana-dashboard.json')) as { panels: { title: string; targets: { expr: string }[] }[] }).panels
const expressions = () => [
  ...rules().map(({ expr }) => expr),
  ...panels().flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m'))),
]

/** Names of metrics in an expression; throws where it is none. */
function metricsOf(expr: string): string[] {
  const names: string[] = []
  parser.parse(expr).iterate({
    enter({ type, from, to }) {
      if (type.isError) throw new Error(`No expression: ${expr.slice(0, from)}⟨here⟩${expr.slice(from)}`)
      if (type.name === 'Identifier') names.push(expr.slice(from, to))
    },
  })
  return names
}

test('each expression can be read, and asks for what a server tells', async () => {
  expect(() => metricsOf('sum(rate(x[5m]) by')).toThrow('No expression')
  await using app = await realApp({
    'features.ts': `${HEAD}export const score = feature({ entity: User, type: 'float' })
      export const one = feature({ entity: User, refresh: '1h', type: 'int', sql: 'SELECT 1' })
      export const bad = feature({ entity: User, refresh: '1h', type: 'int' }, async () => { throw new Error('It broke.') })`,
    'events.csv': 'user_id,created_at\nu1,2026-01-01 10:00:00\n',
  })
  await app.post('/v1/features', { features: ['score', 'one', 'bad'], rows: [{ user_id: 'u1' }] })
  await app.post('/v1/features/one/refresh', {})
  await app.post('/v1/features/bad/refresh', {})
  const { text: exposed } = await app.get('/metrics')
  // What Prometheus makes itself, and what only a server with Redis has.
  const names = new Set([
    'up',
    'fabra_online_store_doubts',
    'fabra_online_store_memory_share',
    ...[...exposed.matchAll(/^(\w+)[{ ]/gm)].map(([, name]) => name),
  ])
  const documented = readFileSync(join(import.meta.dir, '../../docs/production.md'), 'utf8').match(/`(?:fabra|process)_\w+/g) ?? []
  const families = new Set([...exposed.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name))
  expect(documented.map((name) => name.slice(1)).filter((name) => !families.has(name) && !names.has(name))).toEqual([])
  const asked = new Set(expressions().flatMap(metricsOf))
  expect(asked.size).toBeGreaterThan(12)
  expect([...asked].filter((name) => !names.has(name))).toEqual([])
  for (const line of [
    'fabra_feature_values_served_total{feature="one",status="fresh"} 1',
    'fabra_feature_values_served_total{feature="bad",status="error"} 1',
    'fabra_feature_values_served_total{feature="score",status="missing"} 1',
    'fabra_refresh_runs_total{feature="one",result="done"} 1',
    'fabra_read_seconds_bucket{le="+Inf"} 1',
    'fabra_read_seconds_count 1',
  ])
    expect(exposed.split('\n')).toContain(line)
})
