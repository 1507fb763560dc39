/** What is asked for: values that follow from the key and from what was sent, so that whoever asks knows them. */

/** Of keys `k0`, `k1`, … */
export const numberOf = (key: string): number => Number(key.slice(1))

export const twice = (key: string, extra: number): number => 2 * numberOf(key) + extra
export const thrice = (key: string): number => 3 * numberOf(key)
/** Of each event of a key, so that the sum tells whether it is theirs. */
export const amountOf = (key: string): number => numberOf(key) + 1

export const TYPESCRIPT = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'at', columns: { user_id: 'text', amount: 'bigint', at: 'timestamptz' } })
export const score = feature({ entity: User, type: 'int' })
export const counted = feature({ entity: User, refresh: '5s', max_staleness: '1d', timeout: '10s', columns: { n: 'int', total: 'int' },
  sql: 'SELECT COUNT(*) AS n, COALESCE(SUM(amount), 0) AS total FROM events WHERE user_id = $user_id' })
export const twice = feature({ entity: User, refresh: 0, type: 'int', inputs: { extra: 'int' }, timeout: '10s' },
  (userId, { inputs }) => 2 * Number(userId.slice(1)) + inputs.extra)
export const blocks = feature({ entity: User, refresh: 0, type: 'int', timeout: '1s' }, () => { while (true) {} })
`

export const PYTHON = `import os
from fabra import entity, feature

User = entity("User", key="user_id")

@feature(entity=User, refresh=0, timeout="10s")
def thrice(user_id: str) -> int:
    return 3 * int(user_id[1:])

@feature(entity=User, refresh=0, timeout="10s")
def python_process(user_id: str) -> int:
    return os.getpid()
`
