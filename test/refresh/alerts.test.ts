import { expect, test } from 'bun:test'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { WebhookEvent } from '../../src/observability/webhook-message.ts'
import { createAlerts } from '../../src/refresh/alerts.ts'
import { createKeySample } from '../../src/refresh/key-sample.ts'
import { judge } from '../../src/serving/freshness.ts'
import { openBench } from '../support/bench.ts'

async function openAlerts() {
  const bench = await openBench({
    features: { count: { refresh: '5m' }, score: { kind: 'pushed', type: 'int', maxStaleness: '1h' }, live: { refresh: 0 } },
  })
  const sent: WebhookEvent[] = []
  const { activeKeys, online } = bench.parts()
  const pushed = createKeySample()
  const alerts = createAlerts({
    features: () => bench.registry.features.values(),
    keysInUse: (feature, count) => (feature.refresh === null ? pushed.of(feature) : activeKeys.some(feature, count)),
    online,
    isLate(feature, eventAt) {
      const rule = bench.version().serving.planned.get(feature.name)?.rule
      return rule !== undefined && judge(rule, eventAt, bench.clock.now(), null) === (rule.maxStaleness === null ? 'stale' : 'expired')
    },
    send: (event) => sent.push(event),
    clock: bench.clock,
  })
  const refresh = async () => {
    const feature = bench.registry.features.get('count')
    if (!feature) throw new Error('No feature.')
    alerts.ran(await bench.version().refresher.run(feature, await activeKeys.of(feature), { reason: 'schedule', before: null }))
  }
  const takeSent = () => sent.splice(0).map((event) => `${event.type} ${event['feature']}`)
  return { bench, pushed, sent, alerts, refresh, takeSent, [Symbol.asyncDispose]: () => bench.close() }
}

test('a refresh that begins to fail is told once, again while it lasts, and when it works again', async () => {
  await using open = await openAlerts()
  const { bench, refresh, takeSent } = open
  bench.programme.set('count', () => 1)
  await bench.read('count')
  await refresh()
  expect(takeSent()).toEqual([])
  bench.programme.set('count', () => {
    throw new Error('It broke.')
  })
  for (let i = 0; i < 5; i++) {
    await refresh()
    bench.clock.advance('1m')
  }
  expect(open.sent[0]).toMatchObject({ keys: 1, failed: 1, at: '2026-01-02T03:04:05Z', error: expect.any(String) })
  expect(takeSent()).toEqual(['refresh.failed count'])
  bench.clock.advance('10m')
  await refresh()
  expect(takeSent()).toEqual(['refresh.failed count'])
  bench.programme.set('count', () => 2)
  bench.clock.advance('1m')
  await refresh()
  await refresh()
  expect(takeSent()).toEqual(['refresh.recovered count'])
})

test('values in use that are too old are told when two looks find them so, and when they are fresh again', async () => {
  await using open = await openAlerts()
  const { bench, alerts, takeSent } = open
  await bench.read('count')
  await bench.push('score', 'u1', 1)
  const score = bench.registry.features.get('score')
  const user = bench.registry.entities.get('User')
  if (score && user) open.pushed.note(score, entityKey(user, ['u1']))
  await bench.read('live')
  await alerts.check()
  await alerts.check()
  expect(takeSent()).toEqual([])
  bench.clock.advance('6m')
  await alerts.check()
  expect(takeSent()).toEqual([])
  await alerts.check()
  expect(open.sent[0]).toMatchObject({ keys: 1, late: 1, oldest_ms: 360_000 })
  expect(takeSent()).toEqual(['feature.stale count'])
  await alerts.check()
  expect(takeSent()).toEqual([])
  bench.clock.advance('1h')
  await bench.read('count')
  await bench.idle()
  await alerts.check()
  await alerts.check()
  expect(takeSent()).toEqual(['feature.fresh count', 'feature.stale score'])
})
