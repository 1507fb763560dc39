import { afterAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { FabraError } from '../../src/errors.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { type HistoryRow, type OfflineStore, RefusedRows } from '../../src/store/ports/offline-store.ts'
import { createHistoryQueue, type HistoryQueueOptions, type QueuedRows } from '../../src/store/recording/history-queue.ts'
import { until } from '../support/until.ts'

const opened: OfflineStore[] = []
afterAll(() => Promise.all(opened.map((store) => store.close())))

const isBad = (row: HistoryRow) => row.entityKey.startsWith('bad')

/** A real store that refuses rows whose key begins with "bad", as if it could not say which. */
async function bench(options: Partial<HistoryQueueOptions> = {}) {
  const store = createDuckdbOfflineStore(await openDatabase({ file: ':memory:' }))
  opened.push(store)
  const setAside: string[] = []
  const appended: number[] = []
  const faults: ((append: () => Promise<readonly number[]>) => Promise<readonly number[]>)[] = []
  const queue = createHistoryQueue({
    offline: {
      async append(rows) {
        appended.push(rows.length)
        if (rows.some(isBad)) throw new RefusedRows('it is bad', null, undefined)
        const fault = faults.shift()
        return fault ? fault(() => store.append(rows)) : store.append(rows)
      },
    },
    onProblem: () => undefined,
    onSetAside: (rows) => void setAside.push(...rows.map((row) => row.entityKey)),
    commitEveryMs: 1,
    ...options,
  })
  let seq = 0
  const row = (entityKey: string): HistoryRow => {
    seq++
    return { feature: 'f', fingerprint: '1', entityKey, value: '1', eventAt: seq, availableAt: seq, createdAt: seq, seq, origin: 'pushed' }
  }
  const push = (...keys: string[]) => queue.push(keys.map(row), performance.now() + 60_000)
  const stored = async () => [...(await store.keysSince('f', 0, 1_000_000))].sort()
  return { queue, row, push, stored, setAside, appended, faults }
}
const outcomeOf = (lot: QueuedRows) =>
  lot.committed.then(
    () => 'committed',
    (error: unknown) => (error instanceof RefusedRows ? 'refused' : (error as FabraError).code),
  )
const outage = async () => {
  throw new FabraError('store_unavailable', 'It is down.')
}
const unanswered = async (append: () => Promise<readonly number[]>) => {
  await append()
  throw new FabraError('outcome_unknown', 'It fell silent.')
}

describe('rows that are refused for good', () => {
  test('are found among thousands in a few attempts, and are nobody else’s harm', async () => {
    const { queue, row, stored, setAside, appended } = await bench()
    const keys = Array.from({ length: 4_096 }, (_, i) => (i === 1_234 ? 'bad' : `k${String(i).padStart(4, '0')}`))
    queue.add(keys.map(row))
    await queue.flush()
    expect(setAside).toEqual(['bad'])
    expect(await stored()).toEqual(keys.filter((key) => key !== 'bad'))
    expect(appended.length).toBeLessThan(2 * Math.log2(keys.length) + 5)
    expect(queue.counters()).toEqual({ written: 4_095, failures: 0, lost: 0, queued: 0, failing: false })
  })

  test('alone are refused and set aside, in whatever way rows and lots come together', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'bad', 'e', 'f')
    const step = fc.record({ kind: fc.constantFrom('add', 'push', 'push', 'turn'), keys: fc.array(key, { minLength: 1, maxLength: 4 }) })
    const shared = await bench()
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { queue, row, push, stored, setAside } = shared
        const prefix = `/${run++}/`
        const named = (keys: readonly string[], at: number) =>
          keys.map((one, i) => (one === 'bad' ? `bad${prefix}${at}-${i}` : `${one}${prefix}${at}-${i}`))
        const expected: string[] = []
        const aside: string[] = []
        const answers: [Promise<string>, string][] = []
        for (const [at, { kind, keys }] of steps.entries()) {
          const names = named(keys, at)
          const good = names.filter((name) => !name.startsWith('bad'))
          if (kind === 'turn') await new Promise((resolve) => setImmediate(resolve))
          else if (kind === 'add') {
            queue.add(names.map(row))
            expected.push(...good)
            aside.push(...names.filter((name) => name.startsWith('bad')))
          } else {
            answers.push([outcomeOf(push(...names)), good.length === names.length ? 'committed' : 'refused'])
            if (good.length === names.length) expected.push(...names)
          }
        }
        await queue.flush()
        for (const [answer, wanted] of answers) expect(await answer).toBe(wanted)
        expect((await stored()).filter((name) => name.includes(prefix))).toEqual(expected.sort())
        expect(setAside.filter((name) => name.includes(prefix)).sort()).toEqual(aside.sort())
        expect(queue.counters().queued).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test('in masses hold up no push, and no memory', async () => {
    const { queue, row, push, setAside, stored } = await bench()
    for (let i = 0; i < 3; i++) queue.add(Array.from({ length: 20_000 }, (_, n) => row(`bad${i}-${n}`)))
    for (let i = 0; i < 20; i++) expect(await outcomeOf(push(`good${i}`))).toBe('committed')
    queue.add([row('late')])
    await until('all is settled', 30_000, async () => (queue.counters().queued === 0 ? true : undefined))
    expect(setAside.length).toBe(60_000)
    expect((await stored()).length).toBe(21)
  })
})

describe('a lot', () => {
  test('that was given up before it was sent is never committed', async () => {
    const { queue, push, stored, faults } = await bench()
    const gate = Promise.withResolvers<void>()
    faults.push(async (append) => {
      await gate.promise
      return append()
    })
    const first = push('first')
    await new Promise((resolve) => setImmediate(resolve))
    const second = push('second')
    expect([first.giveUp(), second.giveUp()]).toEqual([false, true])
    expect(await outcomeOf(second)).toBe('store_unavailable')
    gate.resolve()
    expect(await outcomeOf(first)).toBe('committed')
    await queue.flush()
    expect(await stored()).toEqual(['first'])
  })

  test('of an outage is told after three attempts, and leaves; rows that nobody waits for stay', async () => {
    const { queue, row, push, stored, faults } = await bench()
    for (let i = 0; i < 3; i++) faults.push(outage)
    queue.add([row('kept')])
    expect(await outcomeOf(push('refused'))).toBe('store_unavailable')
    await queue.flush()
    expect(await stored()).toEqual(['kept'])
  })

  test('whose commit was not answered is tried until it is known, also through an outage, and then told', async () => {
    const { queue, push, stored, faults } = await bench()
    faults.push(unanswered, outage, outage, outage, outage)
    const lot = push('doubt')
    await until('it is in doubt', 5_000, async () => (queue.counters().failures > 0 ? true : undefined))
    expect(lot.giveUp()).toBe(false)
    expect(await outcomeOf(lot)).toBe('committed')
    expect(await stored()).toEqual(['doubt'])
  })

  test('that comes too late for a commit is told so instead of cutting the commit of others short', async () => {
    const { queue, row, push, stored } = await bench()
    const late = queue.push([row('late')], performance.now() + 500)
    const early = push('early')
    expect([await outcomeOf(late), await outcomeOf(early)]).toEqual(['store_unavailable', 'committed'])
    expect(await stored()).toEqual(['early'])
  })
})
