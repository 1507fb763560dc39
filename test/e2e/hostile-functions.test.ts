/** What a user's function may do wrong: its own caller gets one clear error, everybody else is served, and the server lives. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type RunningFabra, startFabra } from '../support/binary.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

const FUNCTIONS: Record<string, [type: string, code: string]> = {
  good: ['int', '() => 42'],
  text_for_int: ['int', `() => 'a'`],
  not_a_number: ['float', '() => NaN'],
  infinite: ['float', '() => Infinity'],
  fraction_for_int: ['int', '() => 1.5'],
  nothing: ['int', '() => undefined'],
  date_for_int: ['int', '() => new Date()'],
  date_for_json: ['json', '() => new Date()'],
  big_integer: ['int', '() => 2n ** 60n'],
  too_big_integer: ['int', '() => 2n ** 70n'],
  null_value: ['int', '() => null'],
  too_large: ['string', `() => 'x'.repeat(70 * 1024)`],
  as_large_as_can_be: ['string', `() => 'x'.repeat(64 * 1024 - 2)`],
  circular: ['json', '() => { const a = {}; a.a = a; return a }'],
  throws_text: ['int', `() => { throw 'secret' }`],
  throws_null: ['int', '() => { throw null }'],
  rejects_undefined: ['int', '() => Promise.reject()'],
  leaves_a_rejection: ['int', `() => { Promise.reject(new Error('late')); setTimeout(() => { throw new Error('later') }); return 1 }`],
  recursion: ['int', '() => { const f = () => f() + 1; return f() }'],
  exits: ['int', '() => process.exit(3)'],
  aborts: ['int', '() => process.abort()'],
  kills: ['int', `() => process.kill(process.pid, 'SIGKILL')`],
  prints: ['int', `() => { console.log('printed'); console.table([{ a: 1 }]); process.stdout.write('written'); return 1 }`],
  reads_the_environment: ['string', '() => process.env.SHOP_REGION ?? null'],
  loops: ['int', '() => { while (true) {} }'],
  never_answers: ['int', '() => new Promise(() => {})'],
}
/** Of these the end is awaited. */
const LATE = ['loops', 'never_answers']

let project: ProjectFolder
let server: RunningFabra
beforeAll(async () => {
  const features = Object.entries(FUNCTIONS).map(
    ([name, [type, code]]) =>
      `export const ${name} = feature({ entity: User, refresh: 0, type: '${type}'${LATE.includes(name) ? ", timeout: '1s'" : ''} }, ${code})\n`,
  )
  const counted = `export const counted = feature({ entity: User, refresh: 0, type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })\n`
  project = projectFolder({ 'features.ts': HEAD + counted + features.join(''), 'events.csv': EVENTS })
  server = await startFabra({ cwd: project.path, file: 'features.ts', env: { SHOP_REGION: 'eu' } })
})
afterAll(async () => {
  await server.stop()
  project[Symbol.dispose]()
})

interface Answer {
  readonly status: number
  readonly body: { readonly value?: unknown; readonly error?: { readonly code: string; readonly message: string; readonly hint: string } }
}

async function ask(feature: string, key = 'u1'): Promise<Answer> {
  const response = await fetch(`${server.url}/v1/features/${feature}?entity_id=${key}`)
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

describe('a value that cannot be served is an error that names feature, key and reason', () => {
  const refused: [feature: string, status: number, code: string, says: string][] = [
    ['text_for_int', 500, 'wrong_type', 'expected int, got the string "a"'],
    ['not_a_number', 500, 'wrong_type', 'NaN'],
    ['infinite', 500, 'wrong_type', 'Infinity'],
    ['fraction_for_int', 500, 'wrong_type', 'expected int, got'],
    ['nothing', 500, 'wrong_type', 'returned nothing'],
    ['date_for_int', 500, 'wrong_type', 'a Date'],
    ['date_for_json', 500, 'wrong_type', 'a Date'],
    ['too_big_integer', 500, 'wrong_type', 'expected int'],
    ['circular', 500, 'wrong_type', 'contains itself'],
    ['too_large', 500, 'value_too_large', '65536 bytes'],
    ['throws_text', 502, 'feature_failed', 'failed'],
    ['throws_null', 502, 'feature_failed', 'failed'],
    ['rejects_undefined', 502, 'feature_failed', 'failed'],
    ['recursion', 502, 'feature_failed', 'failed'],
    ['exits', 502, 'feature_failed', 'failed'],
    ['aborts', 502, 'feature_failed', 'failed'],
    ['kills', 502, 'feature_failed', 'failed'],
  ]
  for (const [feature, status, code, says] of refused) {
    test(feature, async () => {
      const answer = await ask(feature)
      expect(answer).toMatchObject({ status, body: { error: { code } } })
      expect(answer.body.error?.message).toContain(`feature "${feature}"`)
      expect(answer.body.error?.message).toContain('"u1"')
      expect(answer.body.error?.message).toContain(says)
      expect(answer.body.error?.hint).not.toBe('')
      expect(JSON.stringify(answer.body)).not.toMatch(/secret|features\.ts/)
      expect(await ask('good')).toMatchObject({ status: 200, body: { value: 42 } })
      const history = await fetch(`${server.url}/v1/features/${feature}/history?entity_id=u1`)
      expect(await history.json()).toMatchObject({ history: [] })
    })
  }
})

describe('served as it is:', () => {
  test('null', async () => expect(await ask('null_value')).toMatchObject({ status: 200, body: { value: null } }))
  test('an integer beyond 2^53, every digit of it', async () => {
    const response = await fetch(`${server.url}/v1/features/big_integer?entity_id=u1`)
    expect(await response.text()).toContain('"value":1152921504606846976,')
  })
  test('a text of 64 KiB', async () => {
    expect(await ask('as_large_as_can_be')).toMatchObject({ status: 200, body: { value: 'x'.repeat(64 * 1024 - 2) } })
  })
  test('a value whose function left a rejection behind', async () => {
    expect(await ask('leaves_a_rejection')).toMatchObject({ status: 200, body: { value: 1 } })
    expect(await ask('good')).toMatchObject({ status: 200, body: { value: 42 } })
  })
  test('what the environment holds', async () => expect(await ask('reads_the_environment')).toMatchObject({ body: { value: 'eu' } }))
})

test('what a function prints goes to the log, never into standard output', async () => {
  expect(await ask('prints')).toMatchObject({ status: 200, body: { value: 1 } })
  // What is said on one pipe may arrive after what is answered on another.
  await until('both in the log', 10_000, async () => (/printed[\s\S]*written/.test(server.stderr()) ? true : undefined))
  expect(server.stdout()).not.toMatch(/printed|written|index/)
})

for (const feature of LATE) {
  test(`${feature}: its caller gets 504 in time, the others their values meanwhile`, async () => {
    // A busy machine may take longer for all of it than the one that hangs has.
    await until('an answer meanwhile', 60_000, async () => {
      let waiting = true
      const hanging = ask(feature).finally(() => {
        waiting = false
      })
      let served = 0
      while (waiting) {
        const answers = await Promise.all([ask('good', `u${served}`), ask('counted')])
        expect(answers.map((answer) => answer.body.value)).toEqual([42, 2])
        if (waiting) served += 1
      }
      expect(await hanging).toMatchObject({ status: 504, body: { error: { code: 'feature_timeout' } } })
      return served > 0 ? true : undefined
    })
  })
}

test('a failing feature does not fail its neighbours in a batch', async () => {
  const body = { features: ['good', 'throws_text', 'counted'], rows: [{ user_id: 'u1' }, { user_id: 'u2' }] }
  const response = await fetch(`${server.url}/v1/features`, { method: 'POST', body: JSON.stringify(body) })
  expect(response.status).toBe(200)
  const { results, errors } = (await response.json()) as {
    results: { values: unknown[]; statuses: string[] }[]
    errors: { row: number; feature: string; code: string }[]
  }
  expect(results.map((result) => result.values)).toEqual([
    [42, null, 2],
    [42, null, 0],
  ])
  expect(results[0]?.statuses).toEqual(['fresh', 'error', 'fresh'])
  expect(errors.map(({ row, feature, code }) => ({ row, feature, code }))).toEqual([
    { row: 0, feature: 'throws_text', code: 'feature_failed' },
    { row: 1, feature: 'throws_text', code: 'feature_failed' },
  ])
})
