import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { someInterpreters, startGuest } from './guest.ts'

setDefaultTimeout(120_000)

/** Word for word what people were promised. */
const PROMISED = `from datetime import timedelta
from fabra import FeatureStore, entity, feature, source, db

store = FeatureStore()

@entity(store)
class User:
    user_id: str

source("transactions", timestamp="created_at", file="data/transactions.csv")

@feature(entity=User, refresh=timedelta(minutes=5))
def transaction_count_1h(user_id: str) -> int:
    return db.query(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = %s AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )

@feature(entity=User, refresh=timedelta(seconds=0))  # realtime
async def user_velocity_1h(user_id: str) -> int:
    """Number of transactions in last hour."""
    return await db.fetchval(
        "SELECT COUNT(*) FROM transactions "
        "WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'",
        user_id
    )
`

describe.each(someInterpreters())('%s', (python) => {
  test('the promised lines become drafts, and answer', async () => {
    await using guest = await startGuest({ 'features.py': PROMISED }, { python })
    expect(guest.loaded['problems']).toEqual([])
    const drafts = guest.loaded['drafts']
    const file = `${guest.folder}/features.py`
    expect(drafts).toMatchObject([
      { kind: 'entity', args: ['User'], options: { key: { user_id: 'string' } }, location: { file, line: 6 } },
      {
        kind: 'source',
        args: ['transactions'],
        options: { timestamp: 'created_at', file: 'data/transactions.csv' },
        location: { line: 10 },
      },
      {
        kind: 'feature',
        name: 'transaction_count_1h',
        options: { refresh: { $micros: 300_000_000 }, type: 'int' },
        location: { line: 12 },
      },
      { kind: 'feature', name: 'user_velocity_1h', options: { refresh: { $micros: 0 } }, doc: 'Number of transactions in last hour.' },
    ])
    expect(drafts[2].options.entity).toEqual({ $ref: drafts[0].id })
    expect(drafts[3].function).toMatchObject({ isAsync: true, parameters: [{ name: 'user_id', type: 'string' }] })
    const questions: unknown[] = []
    const answer = (question: unknown) => {
      questions.push(question)
      return { rows: { columns: ['count'], rows: [[7]] } }
    }
    expect(await guest.call('transaction_count_1h', ['u1'], { answer })).toMatchObject({ texts: ['7'] })
    expect(await guest.call('user_velocity_1h', ['u2'], { answer })).toMatchObject({ texts: ['7'] })
    expect(questions).toMatchObject([
      { kind: 'query', params: ['u1'] },
      { kind: 'query', params: ['u2'] },
    ])
    guest.close()
    expect(await guest.exited).toBe(0)
  })
})
