import { expect, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import { createDeadlines, Deadline } from '../../src/store/redis/socket/deadlines.ts'

class Command extends Deadline {
  outcome: string | undefined
  isOpen = () => this.outcome === undefined
  failed(error: Error): void {
    this.outcome = error instanceof FabraError ? error.code : error.message
  }
}

/** Time that moves when the test says so. */
function moved() {
  let now = 0
  const due: { at: number; work: () => void }[] = []
  return {
    nowMs: () => now,
    later: (work: () => void, ms: number) => void due.push({ at: now + ms, work }),
    to(ms: number) {
      for (;;) {
        const next = due.sort((a, b) => a.at - b.at)[0]
        if (!next || next.at > ms) break
        due.shift()
        now = next.at
        next.work()
      }
      now = ms
    },
  }
}

test('a command that gets no answer is over after its time, and those behind it after theirs', () => {
  const time = moved()
  const watch = createDeadlines(500, undefined, time)
  const [first, second] = [new Command(), new Command()]
  watch(first)
  time.to(300)
  watch(second)
  time.to(499)
  expect(first.outcome).toBeUndefined()
  time.to(600)
  expect([first.outcome, second.outcome]).toEqual(['Command timed out', undefined])
  time.to(900)
  expect(second.outcome).toBe('Command timed out')
})

test('while answers come, a command waits longer: this process is slow, and the store is not away', () => {
  const time = moved()
  let heardAt = 0
  const watch = createDeadlines(500, () => heardAt, time)
  const [slow, answered] = [new Command(), new Command()]
  watch(slow)
  watch(answered)
  for (let at = 100; at <= 800; at += 100) {
    time.to(at)
    heardAt = at
    if (at === 700) answered.outcome = 'answered'
  }
  expect([slow.outcome, answered.outcome]).toEqual([undefined, 'answered'])
  // Less than a second in all, and what it is told then does not accuse the store.
  time.to(850)
  heardAt = 850
  time.to(1_000)
  expect([slow.outcome, answered.outcome]).toEqual(['overloaded', 'answered'])
})

test('when nothing comes any more, the store is silent', () => {
  const time = moved()
  let heardAt = 0
  const watch = createDeadlines(500, () => heardAt, time)
  const one = new Command()
  watch(one)
  time.to(400)
  heardAt = 400
  time.to(880)
  expect(one.outcome).toBeUndefined()
  time.to(950)
  expect(one.outcome).toBe('Command timed out')
})
