/** What history is asked for in place of the online store, and how old its answers may be. */
import { expect, test } from 'bun:test'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { Entity, Feature } from '../../src/definition/model.ts'
import { createLastKnown } from '../../src/serving/last-known.ts'
import type { HistoryRow } from '../../src/store/ports/offline-store.ts'

const USER = { name: 'User', key: [{ name: 'user_id', type: 'text' }] } as unknown as Entity
const KEY = entityKey(USER, ['u1'])
const SCORE = { name: 'score', fingerprint: '1' } as Feature

/** History that answers when the test lets it, on a clock that the test moves. */
function slowHistory() {
  // It goes as fast as the test says: nothing is late by itself.
  const time = { now: 0, nowMs: () => time.now, later: () => () => undefined }
  const questions: ((value: string) => void)[] = []
  const latestOfEach = async () => {
    const answer = Promise.withResolvers<string>()
    questions.push(answer.resolve)
    return [[{ value: await answer.promise } as HistoryRow]]
  }
  const lastKnown = createLastKnown({ latestOfEach }, time)
  /** Resolves when that many questions were asked. */
  const asked = async (count: number) => {
    while (questions.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    time,
    asked,
    read: async () => (await lastKnown(SCORE, KEY))?.value,
    /** That question is answered, when the clock says so. */
    async answer(number: number, now: number, value: string) {
      await asked(number)
      time.now = now
      questions[number - 1]?.(value)
    },
    count: () => questions.length,
  }
}

test('an answer that comes late after its question may be older than what was acknowledged meanwhile: it is asked again, for all who wait', async () => {
  const { time, read, asked, answer, count } = slowHistory()
  const first = read()
  await asked(1)
  time.now = 850
  const joined = read()
  await answer(1, 950, 'before')
  await answer(2, 1_000, 'now')
  expect(await Promise.all([first, joined])).toEqual(['now', 'now'])
  expect(count()).toBe(2)
})

test('whoever was answered too late twice is told so, and an answer in time counts', async () => {
  const { time, read, answer } = slowHistory()
  const late = read().catch((error: unknown) => error)
  await answer(1, 950, 'before')
  await answer(2, 1_900, 'before')
  expect(await late).toMatchObject({ code: 'overloaded' })
  time.now = 3_000
  const inTime = read()
  await answer(3, 3_900, 'now')
  expect(await inTime).toBe('now')
})
