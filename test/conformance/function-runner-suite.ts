import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { answered, type Bench, type BenchOptions, errorOf } from '../runtime/project.ts'
import { until } from '../support/until.ts'

/** A language and the place where its functions run. */
export interface RunnerUnderTest {
  /**
   * A project whose file defines the features that the suite asks for, by their names there; see function-runner.test.ts. `raises` throws "boom",
   * `leaves` ends its process or tries to, `burns` never lets go, `sleeps` waits where nothing else of its thread can run, `waits` where others can.
   */
  open(options: BenchOptions): Promise<Bench>
  /** What `leaves` says to its caller. */
  readonly leaving: RegExp
}

/** What everything that runs functions promises: see FunctionRunner, whose methods the executor of the bench calls. */
export function functionRunnerSuite(name: string, { open, leaving }: RunnerUnderTest): void {
  describe(`function runner: ${name}`, () => {
    let on: Bench
    /** Questions that wait for `release`. */
    const held: (() => void)[] = []
    beforeAll(async () => {
      const query: BenchOptions['query'] = async (sql) => {
        if (sql.includes('held')) await new Promise<void>((resolve) => held.push(resolve))
        if (sql.includes('broken')) throw new Error('the engine said something that only the log may have')
        const rows = sql.includes('none') ? [] : [[1, 2n ** 60n, 'é"\\\u{1f600}']]
        return { columns: ['a', 'b', 'c'], rows }
      }
      const read: BenchOptions['read'] = async (part) =>
        part === 'none' ? { text: undefined, eventAt: null } : { text: '2.5', eventAt: 70 }
      on = await open({ query, read, workers: 2 })
    })
    afterAll(() => on[Symbol.asyncDispose]())

    const ask = (feature: string, key: readonly unknown[] = ['u1'], options: Parameters<Bench['ask']>[2] = {}) =>
      on.ask(feature, key, { timeoutMs: 60_000, ...options })
    const textsOf = async (...given: Parameters<typeof ask>) => {
      const answer = await ask(...given)
      return answer.kind === 'value' ? answer.texts : errorOf(answer)
    }
    const release = () => {
      for (const resolve of held.splice(0)) resolve()
    }
    const asked = (count: number) => until(`${count} questions`, 60_000, async () => (held.length >= count ? true : undefined))

    test('values have the same bytes, whatever computed them', async () => {
      expect(await textsOf('whole')).toEqual(['9007199254740993'])
      expect(await textsOf('floats')).toEqual(['[1,0.1,1e-7,1e+20,-0.5,1.152921504606847e+18]'])
      expect(await textsOf('truth')).toEqual(['true'])
      expect(await textsOf('text')).toEqual([JSON.stringify('é"\\\u{1f600}')])
      expect(await textsOf('nested')).toEqual(['{"a":[1,null,{"b":"x"}],"c":{}}'])
      expect(await textsOf('columns')).toEqual(['1', '"x"'])
    })

    test('keys and inputs arrive exactly', async () => {
      expect(await textsOf('pair', ['9007199254740993', 'a:ü'])).toEqual(['[9007199254740993,"a:ü"]'])
      expect(await textsOf('doubled', ['u1'], { inputs: { amount: 1.25 } })).toEqual(['2.5'])
      expect(await textsOf('same', ['u1'], { inputs: { any: [9007199254740993n, null, 'é\u2028'] } })).toEqual([
        '[9007199254740993,null,"é\u2028"]',
      ])
    })

    test('nothing known is a value of its own', async () => {
      expect(await textsOf('nothing')).toEqual(['null'])
    })

    test('a value of another type names the type that was declared', async () => {
      const { code, message } = errorOf(await ask('wrong'))
      expect([code, message]).toEqual(['wrong_type', expect.stringMatching(/"wrong" for key "u1".*int.*"x"/)])
    })

    test('what a function throws goes to the log, not to its caller', async () => {
      on.lines.length = 0
      const error = errorOf(await ask('raises'))
      expect(error.code).toBe('feature_failed')
      expect(JSON.stringify(error)).not.toContain('boom')
      expect(on.lines).toMatchObject([{ fields: { feature: 'raises', error: expect.stringMatching(/boom[\s\S]*features\.\w+/) } }])
    })

    test('db and get answer with the times and values of the row', async () => {
      expect(await textsOf('rows', ['u1'], { asOf: 1_500_000_000_000_000, mode: 'past' })).toEqual([
        '[1,1152921504606846976,"é\\"\\\\\u{1f600}",null]',
      ])
      expect(on.queries.at(-1)?.at).toMatchObject({ asOf: 1_500_000_000_000_000, mode: 'past' })
      expect(on.queries.at(-1)?.params).toEqual(['u1', 7])
      expect(await ask('parts')).toMatchObject({ kind: 'value', texts: ['[2.5,null]'], oldestInputAt: 70 })
      expect(await textsOf('moment', ['u1'], { asOf: 1_500_000_000_123_456 })).toEqual(['1500000000123'])
    })

    test('an engine that fails is the failure of that call alone, in words that tell nothing of it', async () => {
      const [bad, good] = await Promise.all([ask('broken'), ask('whole')])
      expect(JSON.stringify(errorOf(bad))).not.toContain('only the log')
      expect(answered(good)).toBe(9007199254740992)
    })

    test('hundreds of calls are under way at once', async () => {
      const answers = Promise.all(Array.from({ length: 200 }, (_, i) => ask('held', [`u${i}`])))
      await asked(200)
      release()
      expect((await answers).map(answered)).toEqual(Array.from({ length: 200 }, () => 1))
    })

    test('a call that nobody waits for any more is over, and its question is answered to nobody', async () => {
      const gone = new AbortController()
      const answer = ask('held', ['u1'], { signal: gone.signal })
      await asked(1)
      gone.abort()
      expect(errorOf(await answer).code).toBe('feature_timeout')
      release()
      expect(await textsOf('truth')).toEqual(['true'])
    })

    test.each(['sleeps', 'waits', 'burns'])(
      'a function that %s is given up at its deadline, and others are answered meanwhile',
      async (feature) => {
        const stuck = ask(feature, ['u1'], { timeoutMs: 1_500 })
        expect(await Promise.all(Array.from({ length: 8 }, () => textsOf('truth')))).toEqual(Array.from({ length: 8 }, () => ['true']))
        expect(errorOf(await stuck)).toMatchObject({ code: 'feature_timeout', message: expect.stringContaining('1500 ms') })
        expect(await textsOf('truth')).toEqual(['true'])
      },
    )

    test('what a function prints and logs is in the log, with its name', async () => {
      on.lines.length = 0
      expect(answered(await ask('speaks', ['u7']))).toBe(1)
      const lines = await until('both lines', 60_000, async () => (on.lines.length >= 2 ? on.lines : undefined))
      expect(lines).toContainEqual(
        expect.objectContaining({ level: 'info', message: 'said 3', fields: expect.objectContaining({ feature: 'speaks' }) }),
      )
      expect(lines).toContainEqual({ level: 'warn', message: 'seen', fields: { feature: 'speaks', key: ['u7'], n: 1 } })
    })

    test('a function that ends the place where it runs is told so, and the others go on', async () => {
      on.lines.length = 0
      const { code } = errorOf(await ask('leaves'))
      expect([code, JSON.stringify(on.lines)]).toEqual(['feature_failed', expect.stringMatching(leaving)])
      expect(await Promise.all(Array.from({ length: 32 }, () => textsOf('truth')))).toEqual(Array.from({ length: 32 }, () => ['true']))
    })

    test('a list of keys is one call, whose elements fail and are known each on its own', async () => {
      const answers = await on.askMany('many', [['a'], ['bb'], ['none'], ['bad'], ['text']], { timeoutMs: 60_000 })
      expect(answers.slice(0, 3).map(answered)).toEqual([1, 2, null])
      expect(answers.slice(3).map((one) => errorOf(one).code)).toEqual(['feature_failed', 'wrong_type'])
      expect(answered(await ask('calls'))).toBe(1)
      const short = await on.askMany('short', [['a'], ['b']], { timeoutMs: 60_000 })
      expect(short.map((one) => errorOf(one))).toMatchObject(
        [1, 2].map(() => ({ code: 'wrong_type', message: expect.stringMatching(/1\b.*2 keys|2 values.*got 1/) })),
      )
    })
  })
}
